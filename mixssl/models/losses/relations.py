"""Relations between features: a student learns to be as near to others as its teacher is."""

import torch
from torch import Tensor
from torch.nn import functional as F


def divergence(target_logits: Tensor, online_logits: Tensor) -> Tensor:
    """KL divergence of the online distribution from the target's, over the last dimension.

    Args:
        target_logits: Similarities divided by the temperature, (..., K), without gradient.
        online_logits: Likewise, of the same shape.

    Returns:
        (...), >= 0, float32.
    """
    target, online = (
        F.log_softmax(logits.float(), dim=-1) for logits in (target_logits, online_logits)
    )
    return F.kl_div(online, target, reduction="none", log_target=True).sum(dim=-1)


def token_divergence(target: Tensor, online: Tensor, temperature: float) -> Tensor:
    """How much the similarities among an image's tokens differ from the target's.

    Each token has a distribution over all tokens of its image, by the cosines of their features. The maps need not have
    the same channels; the online one is resized bilinearly to the target's grid.

    Args:
        target: Maps, (N, C, h, w), without gradient.
        online: Maps of the same images, (N, D, h', w').
        temperature: Softmax temperature; must be positive.

    Returns:
        Mean over the tokens of an image, (N,), float32.
    """
    with torch.autocast(online.device.type, enabled=False):
        online, target = online.float(), target.float()
        if online.shape[-2:] != target.shape[-2:]:
            online = F.interpolate(
                online, size=target.shape[-2:], mode="bilinear", align_corners=False
            )
        logits = []
        for maps in (target, online):
            tokens = F.normalize(maps.flatten(2), dim=1)
            logits.append(tokens.transpose(1, 2) @ tokens / temperature)
        return divergence(*logits).mean(dim=1)
