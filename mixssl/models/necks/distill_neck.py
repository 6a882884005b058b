"""From what a backbone gives, maps or tokens, to one feature per image or per place, in the teacher's width."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mixssl.registry import MODELS


def extra_tokens(backbone: Any) -> int:
    """How many tokens a transformer puts before those of patches: its class token and registers; 0 for other nets."""
    inner = getattr(backbone, "timm_model", backbone)
    return getattr(inner, "num_prefix_tokens", getattr(inner, "num_extra_tokens", 0))


def feature_map(feats: Tensor | Sequence[Tensor], extra: int, size: tuple[int, int]) -> Tensor:
    """The last map of a backbone.

    Args:
        feats: Of the backbone; the last are maps, (N, C, h, w), or tokens row by row, (N, extra + h * w, C).
        extra: Tokens before those of patches.
        size: Height and width of the images in pixels, which the places of tokens follow.

    Returns:
        (N, C, h, w).

    Raises:
        ValueError: If there is one feature per image, or tokens that fill no such map.
    """
    last = feats if isinstance(feats, Tensor) else feats[-1]
    if last.ndim == 4:
        return last
    if last.ndim == 3:
        places = last.shape[1] - extra
        height = max(round((places * size[0] / size[1]) ** 0.5), 1)
        if places > 0 and places % height == 0:
            return last[:, extra:].transpose(1, 2).unflatten(2, (height, places // height))
    raise ValueError(
        f"the dense loss needs maps or tokens, and a backbone gives {tuple(last.shape)} for images of {size} pixels: "
        "set out_type='raw' of a transformer, or dense_weight=0"
    )


class FeaturePool(nn.Module):
    """One feature per image: a map's mean, a class token, or the mean of tokens where there is none.

    Args:
        extra: Tokens before those of patches, the first of which is the class token.
    """

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, feats: Tensor | Sequence[Tensor]) -> tuple[Tensor]:
        """Pools the last of a backbone's features: (N, C, h, w), (N, L, C) or (N, C) to (N, C)."""
        last = feats if isinstance(feats, Tensor) else feats[-1]
        if last.ndim == 4:
            return (last.mean(dim=(2, 3)),)
        if last.ndim == 3:
            return (last[:, 0] if self.extra else last.mean(dim=1),)
        return (last,)


@MODELS.register_module()
class DistillNeck(BaseModule):
    """One linear layer, from the student's features to the teacher's width.

    Args:
        in_channels: Of the backbone's last features.
        out_channels: The teacher's width.
        extra: Tokens that a transformer puts before those of patches: 1, its class token, which stands for the image;
            0 where there is none, whose tokens are averaged. Maps of other nets are averaged in any case.
        init_cfg: As in mmengine; None for a normal distribution of spread 0.02.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        extra: int = 1,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg or {"type": "TruncNormal", "layer": "Linear", "std": 0.02})
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.pool = FeaturePool(extra)
        self.linear = nn.Linear(in_channels, out_channels)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor]:
        """A feature per image, (N, out_channels)."""
        return (self.linear(self.pool(feats)[0]),)

    def places(self, feats: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """A feature per place, (N, out_channels, h, w); ``size`` as in :func:`feature_map`."""
        maps = feature_map(feats, self.pool.extra, size)
        return self.linear(maps.movedim(1, -1)).movedim(-1, 1)
