"""Mix Block and Mix Block+: networks that make the mask of a mixture out of the two images' features."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.models.necks.lam_conv import AdaptiveLam, ChannelLam, FixedLam, LamConv, NoLam, Part
from mixssl.models.necks.mask_ops import at_least_float32, finite, normalise, to_maps, upsample
from mixssl.registry import MODELS

_ENCODINGS = {"adaptive": AdaptiveLam, "fixed": FixedLam, "channel": ChannelLam, "none": NoLam}
_UPSAMPLING = ("bilinear", "nearest")
_PREDICTED = ("own", "partner", "sum", "softmax")
_INIT = [
    {"type": "Normal", "layer": "Conv2d", "std": 0.01},
    {"type": "Constant", "layer": ["_BatchNorm", "GroupNorm"], "val": 1},
]


@MODELS.register_module()
class MixBlock(BaseModule):
    """AutoMix's Mix Block (Liu et al. 2021), as the AMix paper describes it in §3.2, and the parts of every mix block.

    Cells of the mixture's feature grid attend to each other, ``P = softmax(q k / sqrt(d))``; what they collect is a
    number per cell, the content, and the mask is ``sigmoid(upsample(P · content))``. (The formulas print the sigmoid
    before the upsampling; the authors' code has this order.) The defaults are AutoMix's; :class:`MixBlockPlus` has
    AMix's, ``mixssl.preset_mix_block`` those of the authors' code.

    Features need no gradient. Entries that are not finite, or beyond what half precision can hold (65504), count as 0,
    and so do projections that overflow: masks and gradients stay finite. Attention, content and sigmoid are computed in
    float32 at least, also under autocast. Keys have no bias, as the softmax over them would cancel it.

    Differences from the authors' code: λ may differ per row; mean and variance of the mask losses are per row, where
    the code takes them over the batch; nothing is drawn but dropout; their cubic rescaling of λ is left out.

    Args:
        in_channels: Of the features.
        layer: Dotted name of the backbone's module whose output the block reads.
        reduction: Queries, keys and hidden content have ``in_channels // reduction`` channels.
        lam_encoding: How λ enters: "adaptive" (times 1 + γλ, γ learned in [0, 1] from 0), "fixed" (times 1 + λ),
            "channel" (an extra channel) or "none".
        hidden_content: Whether content is conv, norm, activation, conv, dropout, instead of one convolution.
        attend_both: Whether queries and keys read both images, stacked on the channels, instead of queries the own
            image and keys the partner.
        shared_projection: Whether queries and keys share their weights. Together with ``attend_both`` they are the
            same, as eq. 5 of AMix prints them; the authors' code has a projection of each.
        upsampling: "bilinear" (corners not aligned) or "nearest".
        predicted: Whose mask is computed: "own" (the partner's is the rest, as printed), "partner" (the own image's is
            the rest, as in the code), or both, normalised by their "sum" or by a "softmax" of what enters the sigmoid;
            with both, swapping the images and λ for 1 - λ gives exactly the rest.
        norm_cfg: Of the hidden content.
        act_cfg: Of the hidden content; the authors' code takes ELU.
        dropout: Last in the hidden content, in [0, 1).
        attention_norm_cfg: Of queries and keys; None for none.
        adjust: Whether the encoder learns from λ-adjusted masks (:func:`adjust_mask`); read by the method.
        mask_weight: β of the mask losses.
        mask_margin: By which a mask's mean may miss λ at no cost.
        variance_weight: Of the variance loss, relative; 0 for none, 2 in the authors' code.
        init_cfg: As in mmengine; by default convolutions get weights of standard deviation 0.01, as in the code.

    Raises:
        ValueError: If an option has no such value.
    """

    content_norm: nn.Module
    content_head: nn.Module

    def __init__(
        self,
        in_channels: int,
        layer: str = "layer3",
        reduction: int = 2,
        lam_encoding: Literal["adaptive", "fixed", "channel", "none"] = "channel",
        hidden_content: bool = False,
        attend_both: bool = False,
        shared_projection: bool = True,
        upsampling: Literal["bilinear", "nearest"] = "nearest",
        predicted: Literal["own", "partner", "sum", "softmax"] = "own",
        norm_cfg: dict | None = None,
        act_cfg: dict | None = None,
        dropout: float = 0.1,
        attention_norm_cfg: dict | None = None,
        adjust: bool = False,
        mask_weight: float = 0.1,
        mask_margin: float = 0.1,
        variance_weight: float = 0.0,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg if init_cfg is not None else [dict(item) for item in _INIT])
        require_choice("lam_encoding", lam_encoding, _ENCODINGS)
        require_choice("upsampling", upsampling, _UPSAMPLING)
        require_choice("predicted", predicted, _PREDICTED)
        self.layer = layer
        self.in_channels = in_channels
        self.upsampling = upsampling
        self.predicted = predicted
        self.adjust = adjust
        self.mask_weight = mask_weight
        self.mask_margin = mask_margin
        self.variance_weight = variance_weight
        self.encoding = _ENCODINGS[lam_encoding]()
        hidden = max(in_channels // reduction, 1)
        self._build_attention(hidden, attend_both, shared_projection, attention_norm_cfg)
        self._build_content(hidden if hidden_content else None, norm_cfg, act_cfg, dropout)

    def _build_attention(self, width: int, both: bool, shared: bool, norm_cfg: dict | None) -> None:
        """Adds queries and keys of ``width`` channels."""
        sizes = self.in_channels, width, 2 if both else 1, self.encoding.has_channel
        self.query = LamConv(*sizes)
        self.query_norm = _norm(norm_cfg, width)
        self.key: LamConv | None = None
        if not shared:
            self.key = LamConv(*sizes, bias=False)
            self.key_norm = _norm(norm_cfg, width)

    def _build_content(
        self, hidden: int | None, norm_cfg: dict | None, act_cfg: dict | None, dropout: float
    ) -> None:
        """Adds the content, with so many hidden channels or with none."""
        channel = self.encoding.has_channel
        self.content_norm = self.content_head = nn.Identity()
        if hidden is None:
            self.content = LamConv(self.in_channels, 1, has_channel=channel)
            return
        self.content = LamConv(self.in_channels, hidden, has_channel=channel, bias=False)
        self.content_norm = _norm(norm_cfg or {"type": "BN"}, hidden)
        self.content_head = nn.Sequential(
            build_activation_layer(act_cfg or {"type": "ReLU"}),
            nn.Conv2d(hidden, 1, 1),
            nn.Dropout(dropout),
        )

    def forward(
        self, maps: Tensor, index: Tensor, partner: Tensor, lam: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Makes masks.

        Args:
            maps: Features of one view, (N, in_channels, h, w), or a transformer's tokens (N, L, in_channels).
            index: Own image of each row, (M,), int64, in [0, N).
            partner: Image mixed into each row, (M,), int64, in [0, N).
            lam: Weight of the own image, (M,), in [0, 1].
            size: Height and width of the images in pixels.

        Returns:
            The own image's weight per pixel, (M, 1, H, W), at least float32, in [0, 1], its mean not adjusted to λ; the
            partner's is the rest.

        Raises:
            ValueError: If the features are no maps or tokens of ``in_channels`` channels.
        """
        maps = finite(self._check(to_maps(maps, size)).to(self.content.weight.dtype))
        lam = lam.to(at_least_float32(maps).dtype)
        own, other = self.encoding(index, lam), self.encoding(partner, 1 - lam)
        if self.predicted == "own":
            return torch.sigmoid(self._logits(maps, own, other, own, size))
        if self.predicted == "partner":
            return torch.sigmoid(-self._logits(maps, own, other, other, size))
        first, second = _stack(own, other), _stack(other, own)
        mine, theirs = self._logits(maps, first, second, first, size).chunk(2)
        if self.predicted == "sum":
            # s_i / (s_i + s_j), which is 0 / 0 where both sigmoids vanish, from the logarithms.
            mine, theirs = F.logsigmoid(mine), F.logsigmoid(theirs)
        return torch.sigmoid(mine - theirs)

    def mask_losses(self, mask: Tensor, lam: Tensor) -> dict[str, Tensor]:
        """What asks masks to have mean λ, and to be decided (AMix, §3.2, L_mean and L_var).

        Args:
            mask: Of the own image, not adjusted, (M, 1, H, W), in [0, 1].
            lam: Weight of the own image, (M,), in [0, 1].

        Returns:
            Scalars, weighted: ``loss_mask_mean``, ``max(|λ - μ| - margin, 0)`` with the mean μ of a row, and
            ``loss_mask_var``, *minus* the variance of a row's mask, unless its weight is 0. The printed sum would
            reward a constant mask, against what the text asks it for.
        """
        mask = at_least_float32(mask)
        mean = mask.mean(dim=(1, 2, 3))
        off = (lam.to(mean.dtype) - mean).abs()
        losses = {"loss_mask_mean": self.mask_weight * (off - self.mask_margin).clamp_min(0).mean()}
        if self.variance_weight:
            variance = (mask - mean.view(-1, 1, 1, 1)).square().mean()
            losses["loss_mask_var"] = -self.mask_weight * self.variance_weight * variance
        return losses

    def _logits(
        self, maps: Tensor, own: Part, other: Part, about: Part, size: tuple[int, int]
    ) -> Tensor:
        """What enters the sigmoid, (M, 1, H, W): the content of ``about``, collected by the attention of the two."""
        (content,) = self.content(maps, [about])
        content = finite(self.content_head(normalise(self.content_norm, content)))
        query, key = self._queries_and_keys(maps, own, other)
        with torch.autocast(maps.device.type, enabled=False):
            # (M, ·, hw)
            query, key, content = (at_least_float32(x).flatten(2) for x in (query, key, content))
            scores = (query * query.shape[1] ** -0.5).transpose(1, 2) @ key
            collected = content @ scores.softmax(dim=-1).transpose(1, 2)
            return upsample(collected.unflatten(2, maps.shape[2:]), size, self.upsampling)

    def _queries_and_keys(self, maps: Tensor, own: Part, other: Part) -> tuple[Tensor, Tensor]:
        """(M, d, h, w) each."""
        both = self.query.images == 2
        asking, asked = ([own, other], [own, other]) if both else ([own], [other])
        if self.key is None:
            query, key = self.query(maps, asking, asked)
            return normalise(self.query_norm, query), normalise(self.query_norm, key)
        (query,), (key,) = self.query(maps, asking), self.key(maps, asked)
        return normalise(self.query_norm, query), normalise(self.key_norm, key)

    def _check(self, maps: Tensor) -> Tensor:
        """Hands the maps on if they have the right number of channels."""
        if maps.shape[1] != self.in_channels:
            raise ValueError(
                f"{type(self).__name__} has in_channels={self.in_channels} and {self.layer!r} gives {maps.shape[1]}: "
                f"set in_channels={maps.shape[1]}, or name another layer"
            )
        return maps


@MODELS.register_module()
class MixBlockPlus(MixBlock):
    """AMix's Mix Block+ (§3.2, eq. 5): the same parts with other defaults.

    λ scales the features by a learned γ, content is non-linear, attention reads both images, masks are upsampled
    bilinearly and λ-adjusted for the encoder, and the variance loss is on.

    Args:
        in_channels: Of the features.
        **options: As in :class:`MixBlock`.
    """

    def __init__(self, in_channels: int, **options: Any) -> None:
        super().__init__(in_channels, **(_PLUS | options))


_PLUS: dict[str, Any] = {
    "lam_encoding": "adaptive",
    "hidden_content": True,
    "attend_both": True,
    "shared_projection": False,
    "upsampling": "bilinear",
    "adjust": True,
    "variance_weight": 1.0,
}


def require_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raises a ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r} and must be one of {', '.join(map(repr, choices))}")


def _norm(cfg: dict | None, channels: int) -> nn.Module:
    """A norm layer, or the identity."""
    return nn.Identity() if cfg is None else build_norm_layer(cfg, channels)[1]


def _stack(first: Part, second: Part) -> Part:
    """The rows of both."""
    return Part(
        torch.cat([first.rows, second.rows]),
        _cat(first.scale, second.scale),
        _cat(first.channel, second.channel),
    )


def _cat(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Both, or None where there are none."""
    return None if first is None or second is None else torch.cat([first, second])
