"""A picture of learned masks at several points of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mixssl.structures import MixedView
from mixssl.visualization.mixtures import (
    mixture_kind,
    pixels,
    require_pixels,
    rows_to_draw,
    show,
    weight_map,
)
from mixssl.visualization.style import WIDTH, new_figure

__all__ = ["stages_figure"]


def stages_figure(
    views: Sequence[Tensor],
    stages: Mapping[str, Sequence[MixedView]],
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    rows: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """Draws the same mixtures as they were rendered at each of several stages, side by side.

    Args:
        views: As in :func:`~mixssl.visualization.mixture_figure`.
        stages: Heading of a column, such as an epoch, to the mixtures as rendered then: the same number at each stage,
            of the same images and λ.
        mean: As in :func:`~mixssl.visualization.mixture_figure`.
        std: As in :func:`~mixssl.visualization.mixture_figure`.
        rows: As in :func:`~mixssl.visualization.mixture_figure`.
        title: Printed on top.

    Returns:
        A figure with two lines of axes for each mixture: its own image over its partner, and then for each stage the
        mask (the own image's weight, white 1, black 0) over the mixture.

    Raises:
        ValueError: If there is no stage or no mixture, stages differ in number, or a mixture has no pixels yet.
    """
    if not stages:
        raise ValueError("stages is empty: give the mixtures of at least one stage")
    sizes = {len(mixtures) for mixtures in stages.values()}
    if len(sizes) > 1:
        raise ValueError(
            f"the stages have {', '.join(map(str, sorted(sizes)))} mixtures: give each the same"
        )
    first = next(iter(stages.values()))
    rows = rows_to_draw(first, rows)
    columns = 1 + len(stages)
    side = min(1.5, WIDTH / (columns + 0.5) - 0.15)
    figure = new_figure(2 * len(first) * (side + 0.32) + (1.1 if title else 0.6), title)
    axes = figure.subplots(2 * len(first), columns, squeeze=False)
    axes[0, 0].set_title("own image\nover partner", fontsize=11)
    for axis, name in zip(axes[0, 1:], stages, strict=True):
        axis.set_title(f"{name}\nmask over mixture", fontsize=11)
    for number, row in enumerate(rows):
        pair = axes[2 * number : 2 * number + 2]
        _draw_sources(list(pair[:, 0]), views, first[number], row, (mean, std))
        for column, mixtures in enumerate(stages.values(), start=1):
            mixture = mixtures[number]
            weight = weight_map(mixture, row)
            show(pair[0, column], weight, f"mean {float(weight.mean()):.2f}")
            mixed = pixels(require_pixels(mixture)[row], mean, std)
            show(pair[1, column], mixed, mixture_kind(mixture))
    return figure


def _draw_sources(
    tiles: Sequence[Axes],
    views: Sequence[Tensor],
    mixture: MixedView,
    row: int,
    norm: tuple[Sequence[float] | None, Sequence[float] | None],
) -> None:
    """Fills the two tiles of what is mixed."""
    lam = float(mixture.lam[row])
    own = views[mixture.source][mixture.index[row]]
    partner = views[mixture.partner_view][mixture.partner[row]]
    show(tiles[0], pixels(own, *norm), f"λ = {lam:.2f}", bold=True)
    show(tiles[1], pixels(partner, *norm), f"1 − λ = {1 - lam:.2f}")
