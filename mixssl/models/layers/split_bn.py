"""Batch normalisation in groups, as several devices would do it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.registry import MODELS
from mixssl.utils.errors import require


@MODELS.register_module()
class SplitBN(nn.BatchNorm2d):
    """Normalises ``num_splits`` interleaved parts of a batch apart, so that one device stands in for several.

    MoCo's momentum encoder sees a shuffled batch so that query and key don't share batch statistics; on one device that
    has no effect unless the batch is split (He et al. 2020, §3.3). Row i belongs to part ``i % num_splits``, as in the
    CIFAR demo of MoCo's authors. Running statistics are the mean over the parts. In evaluation it is batch
    normalisation, with the same parameters and state keys.

    Args:
        num_features: Channels, C.
        num_splits: Parts of a batch, >= 1.
        **kwargs: Of :class:`torch.nn.BatchNorm2d`: eps, momentum, affine, track_running_stats.

    Raises:
        ValueError: If ``num_splits`` is below 1, or a training batch does not divide by it.
    """

    def __init__(self, num_features: int, num_splits: int = 8, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super().__init__(num_features, **kwargs)
        require(">= 1", self, num_splits=num_splits)
        self.num_splits = num_splits

    def extra_repr(self) -> str:
        """Adds the number of parts to the parent's description."""
        return f"{super().extra_repr()}, num_splits={self.num_splits}"

    def forward(self, x: Tensor) -> Tensor:
        """Normalises x, (N, C, H, W), N divisible by ``num_splits`` in training; same shape out."""
        self._check_input_dim(x)
        if not self.training or self.num_splits == 1:
            return super().forward(x)
        size, channels, height, width = x.shape
        splits = self.num_splits
        if size % splits:
            raise ValueError(
                f"SplitBN got a batch of {size}, which does not divide by num_splits {splits}: "
                "change batch_size or num_splits, and set drop_last=True"
            )
        means = variances = None
        factor = 0.0
        if self.track_running_stats and self.running_mean is not None:
            assert self.running_var is not None and self.num_batches_tracked is not None
            means, variances = (
                _repeated(self.running_mean, splits),
                _repeated(self.running_var, splits),
            )
            self.num_batches_tracked.add_(1)
            # Without a momentum the statistics are the mean over all batches, as torch has it.
            batches = self.num_batches_tracked
            factor = 1.0 / float(batches) if self.momentum is None else self.momentum
        out = F.batch_norm(
            x.reshape(size // splits, splits * channels, height, width),
            means,
            variances,
            _repeated(self.weight, splits) if self.affine else None,
            _repeated(self.bias, splits) if self.affine else None,
            True,
            factor,
            self.eps,
        )
        if means is not None and variances is not None:
            with torch.no_grad():
                self.running_mean.copy_(means.view(splits, channels).mean(0))  # type: ignore[union-attr]
                self.running_var.copy_(variances.view(splits, channels).mean(0))  # type: ignore[union-attr]
        return out.view(size, channels, height, width)


def _repeated(values: Tensor, times: int) -> Tensor:
    """As ``values.repeat(times)``, in a copy; torch's own takes several operations, which small ones notice."""
    return values.expand(times, -1).reshape(-1)
