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
    """Says how images are mixed.

    Returns:
        "region" (a box), "global" (each row has one weight for all pixels), "mask", "for the encoder" or "for the
        block" (a learned mask, by who learns from it), or "hidden" (features are mixed and no pixels).
    """
    if mixture.layer is not None:
        return "hidden"
    if mixture.learned is not None:
        return f"for the {mixture.learned}"
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

    Beneath a learned mask stands its mean. Where features are mixed there is no mixture to be seen, and a note says so.

    Args:
        views: Clean views that were mixed, each (N, C, H, W), normalised, C of 1 or 3 (red, green, blue).
        mixtures: Any mixtures of these views; give the same one several times to see several of its rows.
        mean: Per channel, as the views were normalised with, in [0, 255]; None where they were not.
        std: As ``mean``.
        rows: Row to draw of each mixture; by default the first of the first, the second of the second, ..., each time
            the next one whose image has not drawn itself for a partner.
        title: Printed on top.

    Returns:
        A figure with four axes for each mixture, in their order: own image, partner, weight of the own image per pixel,
        mixture. Two mixtures share a line.

    Raises:
        ValueError: If there is nothing to draw, mixtures and rows differ in number, or a mixture has no pixels yet.
    """
    rows = rows_to_draw(mixtures, rows)
    lines = (len(mixtures) + 1) // 2
    line = 1.7 if any(mixture.learned for mixture in mixtures) else 1.52
    figure = new_figure(line * lines + (1.3 if title else 0.8), title)
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


def rows_to_draw(mixtures: Sequence[MixedView], rows: Sequence[int] | None) -> list[int]:
    """Returns the row of each mixture, or raises a ValueError as :func:`mixture_figure` says."""
    if not mixtures:
        raise ValueError("mixtures is empty: give at least one mixture to draw")
    if rows is None:
        return [row_of_two(mixture, i) for i, mixture in enumerate(mixtures)]
    if len(rows) != len(mixtures):
        raise ValueError(
            f"rows has {len(rows)} entries for {len(mixtures)} mixtures: give one for each"
        )
    return list(rows)


def row_of_two(mixture: MixedView, first: int) -> int:
    """The first row, from ``first`` on and around, whose two images differ; ``first`` if there is none."""
    first %= len(mixture.lam)
    if mixture.source != mixture.partner_view:
        return first
    differ = (mixture.index != mixture.partner).tolist()
    order = [*range(first, len(differ)), *range(first)]
    return next((row for row in order if differ[row]), first)


def only_row(mixture: MixedView, row: int) -> MixedView:
    """A mixture of one row, which keeps no memory of the others."""
    parts = {name: getattr(mixture, name) for name in mixture._fields}
    rows: dict[str, Any] = {
        name: part[row : row + 1].clone()
        for name, part in parts.items()
        if isinstance(part, Tensor)
    }
    return mixture._replace(**rows)


def _draw_mixture(
    tiles: Sequence[Axes],
    views: Sequence[Tensor],
    mixture: MixedView,
    row: int,
    norm: tuple[Any, Any],
) -> None:
    """Fills the four tiles of one row of a mixture."""
    own = views[mixture.source][mixture.index[row]]
    partner = views[mixture.partner_view][mixture.partner[row]]
    lam = float(mixture.lam[row])
    other = "" if mixture.partner_view == mixture.source else f" (view {mixture.partner_view})"
    # What a learned mask gives of an image is not λ before it is adjusted.
    signs = ("×", "×") if mixture.learned is None else ("λ =", "1 − λ =")
    show(tiles[0], pixels(own, *norm), f"{signs[0]} {lam:.2f}")
    show(tiles[1], pixels(partner, *norm), f"{signs[1]} {1 - lam:.2f}{other}")
    if mixture.layer is not None:
        show(tiles[2], torch.full(own.shape[-2:], lam), "hidden")
        _note(tiles[3], f"features mixed\nat {mixture.layer},\nno pixels", f"λ = {lam:.2f}")
        return
    mixed = require_pixels(mixture)
    weight = weight_map(mixture, row)
    mean = f"\nmean {float(weight.mean()):.2f}" if mixture.learned else ""
    show(tiles[2], weight, f"{mixture_kind(mixture)}{mean}")
    show(tiles[3], pixels(mixed[row], *norm), f"λ = {lam:.2f}", bold=True)
    if mixture.boxes is not None:
        for tile in tiles[1:]:
            _outline(tile, mixture.boxes[row])


def require_pixels(mixture: MixedView) -> Tensor:
    """Returns the mixed images, or raises a ValueError where there are none yet."""
    if mixture.images is None:
        raise ValueError(
            "a mixture has no pixels yet: its mask is learned, so have the model render it (render_mixtures)"
        )
    return mixture.images


def show(tile: Axes, image: Tensor, caption: str, bold: bool = False) -> None:
    """Shows an image, (H, W) or (H, W, 3) in [0, 1], with a caption beneath."""
    tile.set_axis_on()
    tile.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    tile.set(xticks=[], yticks=[])
    tile.set_xlabel(caption, fontsize=12, fontweight="bold" if bold else "normal")


def _note(tile: Axes, text: str, caption: str) -> None:
    """Writes words where an image would be."""
    tile.set_axis_on()
    tile.set(xticks=[], yticks=[], aspect="equal", xlim=(0, 1), ylim=(0, 1))
    tile.text(0.5, 0.5, text, ha="center", va="center", fontsize=10)
    tile.set_xlabel(caption, fontsize=12, fontweight="bold")


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


def weight_map(mixture: MixedView, row: int) -> Tensor:
    """Weight of the own image per pixel, (H, W)."""
    if mixture.mask is not None:
        return mixture.mask[row, 0].detach().float().cpu()
    assert mixture.images is not None
    return torch.full(mixture.images.shape[-2:], float(mixture.lam[row]))


def pixels(image: Tensor, mean: Sequence[float] | None, std: Sequence[float] | None) -> Tensor:
    """Undoes the normalisation: (C, H, W) to (H, W) or (H, W, 3), in [0, 1]."""
    image = image.detach().float().cpu()
    if std is not None:
        image = image * torch.tensor(std, dtype=torch.float32).view(-1, 1, 1)
    if mean is not None:
        image = image + torch.tensor(mean, dtype=torch.float32).view(-1, 1, 1)
    image = (image / 255).clamp(0, 1)
    return image[0] if len(image) == 1 else image.permute(1, 2, 0)
