"""A picture that shows what a mixture is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from mixssl.structures import MixedView
from mixssl.visualization.style import COLOURS, new_figure

__all__ = ["mixture_figure", "mixture_kind"]

_BOX_COLOUR = COLOURS[1]
_HEADINGS = ("own image", "partner", "weight of own\n(white 1, black 0)", "mixture")


def mixture_kind(mixture: MixedView) -> str:
    """Says how images are mixed: "region" (a box), "global" (each row has one weight for all pixels) or "mask"."""
    if mixture.boxes is not None:
        return "region"
    if mixture.mask is None or bool((mixture.mask == mixture.mask[..., :1, :1]).all()):
        return "global"
    return "mask"


def mixture_figure(
    views: Sequence[Tensor],
    mixtures: Sequence[MixedView],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    rows: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """Draws one row of each mixture beside the two images it is made of, with its λ.

    Args:
        views: Clean views that were mixed, each (N, C, H, W), normalised, C of 1 or 3 (red, green, blue).
        mixtures: Any mixtures of these views; give the same one several times to see several of its rows.
        mean: Per channel, as the views were normalised with, in [0, 255]; None where they were not.
        std: As ``mean``.
        rows: Row to draw of each mixture; the first of the first, the second of the second, ... by default.
        title: Printed on top.

    Returns:
        A figure with four axes for each mixture, in their order: own image, partner, weight of the own image per pixel,
        mixture. Two mixtures share a line.

    Raises:
        ValueError: If there is nothing to draw, mixtures and rows differ in number, or a mixture has no pixels yet.
    """
    if not mixtures:
        raise ValueError("mixtures is empty: give at least one mixture to draw")
    rows = (
        [i % len(mixture.lam) for i, mixture in enumerate(mixtures)] if rows is None else list(rows)
    )
    if len(rows) != len(mixtures):
        raise ValueError(
            f"rows has {len(rows)} entries for {len(mixtures)} mixtures: give one for each"
        )
    lines = (len(mixtures) + 1) // 2
    figure = new_figure(1.52 * lines + (1.3 if title else 0.8), title)
    # The fifth, narrow column keeps the two groups of a line apart.
    axes = figure.subplots(lines, 9, squeeze=False, width_ratios=[1, 1, 1, 1, 0.55, 1, 1, 1, 1])
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (mixture, row) in enumerate(zip(mixtures, rows, strict=True)):
        line, side = divmod(number, 2)
        tiles = list(axes[line, 5 * side : 5 * side + 4])
        _draw_mixture(tiles, views, mixture, row, (mean, std))
        if line == 0:
            for tile, heading in zip(tiles, _HEADINGS, strict=True):
                tile.set_title(heading, fontsize=11)
    return figure


def _draw_mixture(
    tiles: Sequence[Axes],
    views: Sequence[Tensor],
    mixture: MixedView,
    row: int,
    norm: tuple[Any, Any],
) -> None:
    """Fills the four tiles of one row of a mixture."""
    if mixture.images is None:
        raise ValueError(
            "a mixture has no pixels yet: it is rendered, or features are mixed, inside the model"
        )
    own = views[mixture.source][mixture.index[row]]
    partner = views[mixture.partner_view][mixture.partner[row]]
    lam = float(mixture.lam[row])
    other = "" if mixture.partner_view == mixture.source else f" (view {mixture.partner_view})"
    weight = _weight_map(mixture, row)
    _tile(tiles[0], _pixels(own, *norm), f"× {lam:.2f}")
    _tile(tiles[1], _pixels(partner, *norm), f"× {1 - lam:.2f}{other}")
    _tile(tiles[2], weight, mixture_kind(mixture))
    _tile(tiles[3], _pixels(mixture.images[row], *norm), f"λ = {lam:.2f}", bold=True)
    if mixture.boxes is not None:
        for tile in tiles[1:]:
            _outline(tile, mixture.boxes[row])


def _tile(tile: Axes, image: Tensor, caption: str, bold: bool = False) -> None:
    """Shows an image, (H, W) or (H, W, 3) in [0, 1], with a caption beneath."""
    tile.set_axis_on()
    tile.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    tile.set(xticks=[], yticks=[])
    tile.set_xlabel(caption, fontsize=12, fontweight="bold" if bold else "normal")


def _outline(tile: Axes, box: Tensor) -> None:
    """Draws a box's edge; an empty box has none."""
    top, left, bottom, right = box.tolist()
    if bottom > top and right > left:
        corner = (left - 0.5, top - 0.5)
        tile.add_patch(
            Rectangle(
                corner, right - left, bottom - top, fill=False, edgecolor=_BOX_COLOUR, linewidth=2.5
            )
        )


def _weight_map(mixture: MixedView, row: int) -> Tensor:
    """Weight of the own image per pixel, (H, W)."""
    if mixture.mask is not None:
        return mixture.mask[row, 0].detach().float().cpu()
    assert mixture.images is not None
    return torch.full(mixture.images.shape[-2:], float(mixture.lam[row]))


def _pixels(image: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """Undoes the normalisation: (C, H, W) to (H, W) or (H, W, 3), in [0, 1]."""
    image = image.detach().float().cpu()
    if std is not None:
        image = image * torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)
    if mean is not None:
        image = image + torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)
    image = (image / 255).clamp(0, 1)
    return image[0] if len(image) == 1 else image.permute(1, 2, 0)
