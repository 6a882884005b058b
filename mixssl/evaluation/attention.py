"""Where a backbone looks: the response of a map, or the attention of a class token."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mixssl.evaluation.state import undisturbed
from mixssl.utils.distributed import unwrap


def attention_maps(model: nn.Module, images: Tensor) -> Tensor:
    """Where the last stage responds, scaled to [0, 1]; no labels, no gradient.

    Of a convolutional backbone the activation-based map of Zagoruyko and Komodakis (2017), equation 1 with p = 2: the
    sum of squares over channels. Of a vision transformer the mean over heads of :func:`head_maps`.

    Args:
        model: An mmpretrain model; left as it was.
        images: Normalised, (N, C, H, W), on the model's device.

    Returns:
        (N, H, W), float32: the map, enlarged bilinearly, from 0 at the weakest place of an image to 1 at the
        strongest; 0 everywhere where an image gives the same everywhere.

    Raises:
        ValueError: The backbone neither ends with a map nor attends by a class token.
    """
    model = unwrap(model)
    if _last_attention(model) is not None:
        return _scaled(_attended(model, images).mean(1, keepdim=True), images)[:, 0]
    with undisturbed(model):
        feats = model.backbone(images)  # type: ignore[operator]
        feat = (feats if isinstance(feats, Tensor) else feats[-1]).float()
        if feat.ndim != 4:
            raise ValueError(
                f"{type(model.backbone).__name__} ends with the shape {tuple(feat.shape)}; an attention map needs a "
                "convolutional backbone, (N, C, H, W), or a vision transformer with a class token"
            )
        return _scaled(feat.square().sum(1, keepdim=True), images)[:, 0]


def head_maps(model: nn.Module, images: Tensor) -> Tensor:
    """What the class token of a vision transformer attends to in the last layer, head by head (DINO, Figure 1).

    Args:
        model: An mmpretrain model; left as it was.
        images: Normalised, (N, C, H, W), on the model's device.

    Returns:
        (N, heads, H, W), float32: attention to the patches, enlarged bilinearly, each map from 0 to 1.

    Raises:
        ValueError: The backbone has no heads, or no class token.
    """
    model = unwrap(model)
    if _last_attention(model) is None:
        raise ValueError(
            f"{type(model.backbone).__name__} has no heads that attend by a class token: choose a vision transformer"
        )
    return _scaled(_attended(model, images), images)


def _last_attention(model: nn.Module) -> nn.Module | None:
    """The last layer's attention, where the backbone is an mmpretrain transformer with a class token."""
    layers = getattr(model.backbone, "layers", None)
    attention = getattr(layers[-1], "attn", None) if isinstance(layers, nn.ModuleList) else None
    has_token = getattr(model.backbone, "cls_token", None) is not None
    return attention if has_token and hasattr(attention, "qkv") else None


def _attended(model: nn.Module, images: Tensor) -> Tensor:
    """Softmax of the class token's query with all keys, the patches' part of it, (N, heads, rows, columns)."""
    attention: Any = _last_attention(model)
    backbone: Any = model.backbone
    found: list[Tensor] = []
    handle = attention.qkv.register_forward_hook(lambda *args: found.append(args[-1]))
    try:
        with undisturbed(model):
            backbone(images)
    finally:
        handle.remove()
    batch, count, _ = found[0].shape
    parts = found[0].float().view(batch, count, 3, attention.num_heads, attention.head_dims)
    query, key, _ = parts.permute(2, 0, 3, 1, 4)
    weights = (query[:, :, :1] @ key.transpose(2, 3) / attention.head_dims**0.5).softmax(dim=3)
    projection = backbone.patch_embed.projection
    rows = (images.shape[-2] - projection.kernel_size[0]) // projection.stride[0] + 1
    return weights[:, :, 0, backbone.num_extra_tokens :].unflatten(2, (rows, -1))


def _scaled(maps: Tensor, images: Tensor) -> Tensor:
    """Maps (N, K, h, w) at the size of the images, each from 0 to 1."""
    maps = F.interpolate(maps, images.shape[-2:], mode="bilinear", align_corners=False)
    low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
    return (maps - low) / (high - low).clamp(min=1e-12)


def spread(maps: Tensor) -> Tensor:
    """How evenly maps cover their images: entropy over that of an even map, in [0, 1].

    Args:
        maps: (N, H, W), float, >= 0.

    Returns:
        (N,), float32: 0 for a single point, 1 for an even map; an empty map counts as even.
    """
    flat = maps.flatten(1).float()
    even = torch.full_like(flat, 1 / flat.shape[1])
    total = flat.sum(1, keepdim=True)
    share = torch.where(total > 0, flat / total.clamp(min=1e-30), even)
    entropy = torch.special.entr(share).sum(1)
    return entropy / math.log(flat.shape[1]) if flat.shape[1] > 1 else torch.ones(len(flat))
