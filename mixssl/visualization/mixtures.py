"""Pictures that show what mixtures are made of, and how learned masks change in training."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mixssl.structures import MixedView
from mixssl.visualization.style import COLOURS, WIDTH, new_figure, outline, pixels

BOX_COLOUR = COLOURS[1]
HEADINGS = ("own image", "partner", "weight of own\n(white 1, black 0)", "mixture")

Norm = tuple[Sequence[float] | None, Sequence[float] | None]
"""Mean and standard deviation per channel, or None where images were not normalised."""


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
        mean: As in :func:`mixssl.visualization.style.pixels`.
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
    rows = _rows_to_draw(mixtures) if rows is None else rows
    lines = (len(mixtures) + 1) // 2
    height = 1.7 if any(mixture.learned for mixture in mixtures) else 1.52
    figure = new_figure(height * lines + (1.3 if title else 0.8), title)
    # The fifth, narrow column keeps the two groups of a line apart.
    axes = figure.subplots(lines, 9, squeeze=False, width_ratios=[1, 1, 1, 1, 0.55, 1, 1, 1, 1])
    for axis in axes.flat:
        axis.set_axis_off()
    for number, (mixture, row) in enumerate(zip(mixtures, rows, strict=True)):
        line, side = divmod(number, 2)
        tiles = list(axes[line, 5 * side : 5 * side + 4])
        _draw_mixture(tiles, views, mixture, row, (mean, std))
        if line == 0:
            for tile, heading in zip(tiles, HEADINGS, strict=True):
                tile.set_title(heading, fontsize=11)
    return figure


def stages_figure(
    views: Sequence[Tensor],
    stages: Mapping[str, Sequence[MixedView]],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    title: str = "",
) -> Figure:
    """Draws the same mixtures as they were rendered at each of several stages of training, side by side.

    Args:
        views: As in :func:`mixture_figure`.
        stages: Heading of a column, such as an epoch, to the mixtures as rendered then: the same number at each stage,
            of the same images and λ.
        mean: As in :func:`mixssl.visualization.style.pixels`.
        std: As ``mean``.
        title: Printed on top.

    Returns:
        A figure with two lines of axes for each mixture: its own image over its partner, and then for each stage the
        mask (the own image's weight, white 1, black 0) over the mixture.

    Raises:
        ValueError: If there is no stage or no mixture, stages differ in number, or a mixture has no pixels yet.
    """
    by_mixture = list(zip(*stages.values(), strict=True))
    columns = 1 + len(stages)
    side = min(1.5, WIDTH / (columns + 0.5) - 0.15)
    figure = new_figure(2 * len(by_mixture) * (side + 0.32) + (1.1 if title else 0.6), title)
    axes = figure.subplots(2 * len(by_mixture), columns, squeeze=False)
    axes[0, 0].set_title("own image\nover partner", fontsize=11)
    for axis, name in zip(axes[0, 1:], stages, strict=True):
        axis.set_title(f"{name}\nmask over mixture", fontsize=11)
    rows = _rows_to_draw([rendered[0] for rendered in by_mixture])
    for number, (row, rendered) in enumerate(zip(rows, by_mixture, strict=True)):
        upper, lower = axes[2 * number : 2 * number + 2]
        lam, *images = _sources(views, rendered[0], row, (mean, std))
        _show(upper[0], images[0], f"λ = {lam:.2f}", bold=True)
        _show(lower[0], images[1], f"1 − λ = {1 - lam:.2f}")
        for column, mixture in enumerate(rendered, start=1):
            mixed, weight = _mixed_pixels(mixture, row, (mean, std))
            _show(upper[column], weight, f"mean {float(weight.mean()):.2f}")
            _show(lower[column], mixed, mixture_kind(mixture))
    return figure


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
    rows: dict[str, Any] = {
        name: part[row : row + 1].clone()
        for name, part in mixture._asdict().items()
        if isinstance(part, Tensor)
    }
    return mixture._replace(**rows)


def _rows_to_draw(mixtures: Sequence[MixedView]) -> list[int]:
    return [row_of_two(mixture, number) for number, mixture in enumerate(mixtures)]


def _sources(
    views: Sequence[Tensor], mixture: MixedView, row: int, norm: Norm
) -> tuple[float, Tensor, Tensor]:
    """λ, own image and partner of a row."""
    own = views[mixture.source][mixture.index[row]]
    partner = views[mixture.partner_view][mixture.partner[row]]
    return float(mixture.lam[row]), pixels(own, *norm), pixels(partner, *norm)


def _mixed_pixels(mixture: MixedView, row: int, norm: Norm) -> tuple[Tensor, Tensor]:
    """A row's mixed image, (H, W, C), and the own image's weight per pixel, (H, W)."""
    if mixture.images is None:
        raise ValueError(
            "a mixture has no pixels yet: its mask is learned, so have the model render it (render_mixtures)"
        )
    weight = torch.full(mixture.images.shape[-2:], float(mixture.lam[row]))
    if mixture.mask is not None:
        weight = mixture.mask[row, 0].detach().float().cpu()
    return pixels(mixture.images[row], *norm), weight


def _draw_mixture(
    tiles: Sequence[Axes], views: Sequence[Tensor], mixture: MixedView, row: int, norm: Norm
) -> None:
    """Fills the four tiles of one row of a mixture."""
    lam, own, partner = _sources(views, mixture, row, norm)
    other = "" if mixture.partner_view == mixture.source else f" (view {mixture.partner_view})"
    # What a learned mask gives of an image is not λ before it is adjusted.
    signs = ("×", "×") if mixture.learned is None else ("λ =", "1 − λ =")
    _show(tiles[0], own, f"{signs[0]} {lam:.2f}")
    _show(tiles[1], partner, f"{signs[1]} {1 - lam:.2f}{other}")
    if mixture.layer is not None:
        _show(tiles[2], torch.full(own.shape[:2], lam), "hidden")
        _show(tiles[3], torch.ones(own.shape[:2]), f"λ = {lam:.2f}", bold=True)
        note = f"features mixed\nat {mixture.layer},\nno pixels"
        tiles[3].annotate(note, (0.5, 0.5), xycoords="axes fraction", ha="center", va="center")
        return
    mixed, weight = _mixed_pixels(mixture, row, norm)
    mean = f"\nmean {float(weight.mean()):.2f}" if mixture.learned else ""
    _show(tiles[2], weight, f"{mixture_kind(mixture)}{mean}")
    _show(tiles[3], mixed, f"λ = {lam:.2f}", bold=True)
    if mixture.boxes is not None:
        for tile in tiles[1:]:
            outline(tile, mixture.boxes[row].tolist(), BOX_COLOUR)


def _show(tile: Axes, image: Tensor, caption: str, bold: bool = False) -> None:
    """Shows an image, (H, W) or (H, W, C) in [0, 1], with a caption beneath."""
    tile.set_axis_on()
    tile.imshow(image.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    tile.set(xticks=[], yticks=[])
    tile.set_xlabel(caption, fontsize=12, fontweight="bold" if bold else "normal")
