"""SwAV's codes: soft assignments of images to prototypes that share the images out evenly.

Shapes: N rows of this device, K prototypes.
"""

import torch
from mmengine.dist import all_reduce, get_world_size
from torch import Tensor

_STABILISER = 1e-12


@torch.no_grad()
def sinkhorn(scores: Tensor, iterations: int, epsilon: float) -> Tensor:
    """Turns scores into codes by Sinkhorn-Knopp over the rows of all devices (SwAV, Caron et al. 2020, eq. 3 and 5).

    On one process every bit is that of mmpretrain's. On several, mmpretrain sums a prototype's weight over the devices
    only where it is zero, so that its codes depend on how the batch is split; here they are those of one process with
    the whole batch. Whether a weight is zero is never asked on the host.

    Args:
        scores: Cosines of embeddings and prototypes, (N, K), computed on in float32; every device has as many rows.
        iterations: Of the normalisation, >= 1; the paper uses 3.
        epsilon: Smoothness of the codes, > 0; the paper uses 0.05. Below 0.012 the exponential of a cosine of 1
            overflows.

    Returns:
        Codes, (N, K), float32, each row summing to 1.
    """
    with torch.autocast(scores.device.type, enabled=False):
        share = torch.exp(scores.float() / epsilon).t()
        images = share.shape[1] * get_world_size()
        prototypes = share.shape[0]
        share /= _over_devices(share.sum())
        for _ in range(iterations):
            weight = _over_devices(share.sum(dim=1, keepdim=True))
            share += _STABILISER * (weight == 0).any().to(share.dtype)
            share /= _over_devices(share.sum(dim=1, keepdim=True))
            share /= prototypes
            share /= share.sum(dim=0, keepdim=True)
            share /= images
        share *= images
        return share.t()


def _over_devices(value: Tensor) -> Tensor:
    """Sums in place over all devices."""
    all_reduce(value)
    return value


def swapped_prediction(log_probabilities: Tensor, codes: Tensor) -> Tensor:
    """Cross-entropy of one view's prediction with another view's code (SwAV, eq. 2).

    Args:
        log_probabilities: Of the prototypes, (M, K).
        codes: (M, K), each row summing to 1.

    Returns:
        The loss of each row, (M,).
    """
    return -(codes * log_probabilities).sum(dim=1)
