"""Convolutions that see images together with their share λ of the mixture."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.models.necks.mask_ops import at_least_float32, finite


class Part(NamedTuple):
    """One of the two images of each row, with its λ encoded.

    Attributes:
        rows: Image of each row, (M,), int64.
        scale: What its features are multiplied by, (M,); None for 1.
        channel: Value of the extra channel, (M,); None where there is no such channel.
    """

    rows: Tensor
    scale: Tensor | None = None
    channel: Tensor | None = None


class AdaptiveLam(nn.Module):
    """Multiplies features by ``1 + γ * λ``, γ learned (AMix, §3.2); ``lam_gamma`` starts at 0 and is kept in [0, 1].

    Weight decay would pull γ back to 0: exclude it by
    ``custom_keys={'mix_block.encoding.lam_gamma': dict(decay_mult=0.0)}``.
    """

    has_channel = False

    def __init__(self) -> None:
        super().__init__()
        self.lam_gamma = nn.Parameter(torch.zeros(()))

    def forward(self, rows: Tensor, lam: Tensor) -> Part:
        """Encodes the shares ``lam`` (M,) of the images ``rows`` (M,)."""
        # The parameter itself goes back into its range: a clamp in the graph would have no gradient below 0, nor at 0,
        # where γ starts, with torch 2.15; an optimizer that once stepped there would stay. Through .data, as an earlier
        # graph may hold the parameter.
        if self.training:
            self.lam_gamma.data.clamp_(0, 1)
            return Part(rows, scale=1 + self.lam_gamma * lam)
        return Part(rows, scale=1 + self.lam_gamma.clamp(0, 1) * lam)


class FixedLam(nn.Module):
    """Multiplies features by ``1 + λ``, as the authors' code of AMix does."""

    has_channel = False

    def forward(self, rows: Tensor, lam: Tensor) -> Part:
        """As in :class:`AdaptiveLam`."""
        return Part(rows, scale=1 + lam)


class ChannelLam(nn.Module):
    """Adds a channel that holds λ everywhere (AutoMix)."""

    has_channel = True

    def forward(self, rows: Tensor, lam: Tensor) -> Part:
        """As in :class:`AdaptiveLam`."""
        return Part(rows, channel=lam)


class NoLam(nn.Module):
    """Leaves features as they are, so that a mask does not know λ (AutoMix on small data sets)."""

    has_channel = False

    def forward(self, rows: Tensor, lam: Tensor) -> Part:
        """As in :class:`AdaptiveLam`."""
        return Part(rows)


class LamConv(nn.Conv2d):
    """A 1 x 1 convolution over one λ-encoded image, or over two stacked on the channels.

    The weights are those of a plain convolution of the stack. But as scaling a row commutes with a linear map, each
    image is convolved once, however many rows it is part of, and scaled afterwards.

    Args:
        in_channels: Of one image's features.
        out_channels: Of the result.
        images: 1 or 2.
        has_channel: Whether each image has an extra channel for λ, after its features.
        bias: As in torch.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        images: int = 1,
        has_channel: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__(images * (in_channels + has_channel), out_channels, 1, bias=bias)
        self.images = images
        self.features = in_channels

    def forward(self, maps: Tensor, *mixtures: Sequence[Part]) -> list[Tensor]:  # type: ignore[override]
        """Convolves.

        Args:
            maps: Features of all images, (N, in_channels, h, w).
            *mixtures: As many parts as the convolution takes images.

        Returns:
            For each of the mixtures (M, out_channels, h, w), at least float32; 0 in place of what overflowed.
        """
        # (out, images, features [+ 1])
        weight = self.weight[:, :, 0, 0].unflatten(1, (self.images, -1))
        by_image = weight[:, :, : self.features].transpose(0, 1).flatten(0, 1)
        shares = finite(F.conv2d(maps, by_image[:, :, None, None])).unflatten(1, (self.images, -1))
        return [self._join(shares, weight[:, :, -1], parts) for parts in mixtures]

    def _join(self, shares: Tensor, last: Tensor, parts: Sequence[Part]) -> Tensor:
        """Adds up what the images of each row give; ``last`` is the weight of their extra channels, (out, images)."""
        total = None
        for number, part in enumerate(parts):
            share = at_least_float32(shares[part.rows, number])
            if part.scale is not None:
                share = share * part.scale.view(-1, 1, 1, 1)
            if part.channel is not None:
                share = share + (part.channel[:, None] * last[:, number])[:, :, None, None]
            total = share if total is None else total + share
        assert total is not None
        return total if self.bias is None else total + self.bias[:, None, None]
