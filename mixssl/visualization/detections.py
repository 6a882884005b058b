"""What detectors find, beside what is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mixssl.datasets.scene_painting import mask_of
from mixssl.visualization.style import COLOURS, new_figure

__all__ = ["Found", "annotated", "detected", "detection_figure"]

TINT = 0.45
"""How strongly a mask is coloured."""
EDGES = (COLOURS[5], *COLOURS[1:5], "#FFFFFF", "#F0E442", "#A6761D", "#A6D854", "#9E8CD8")
"""As far as they can be told from a dark image the common colours, else brighter ones."""


class Found(NamedTuple):
    """Things in an image, annotated or detected.

    ``boxes`` are (K, 4): left, top, right, bottom in pixels; ``labels`` (K,) are class numbers; ``scores`` (K,) lie in
    [0, 1], None for annotations; ``masks`` are (K, H, W) bool, None where there are none.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    masks: np.ndarray | None = None


def annotated(instances: Sequence[Mapping[str, Any]]) -> Found:
    """What a data set says is in an image.

    Args:
        instances: As DigitScenes has them: ``bbox``, ``bbox_label`` and, of all or none, ``mask`` in
            uncompressed run lengths.
    """
    masks = [mask_of(thing["mask"]) for thing in instances if "mask" in thing]
    return Found(
        np.array([thing["bbox"] for thing in instances]).reshape(-1, 4),
        np.array([thing["bbox_label"] for thing in instances], dtype=int),
        masks=np.stack(masks) if masks else None,
    )


def detected(sample: Any, least: float = 0.5) -> Found:
    """What a detector of mmdet finds in an image.

    Args:
        sample: What its ``test_step`` returns for an image, with ``pred_instances``.
        least: Score above which a detection is kept.
    """
    sure = sample.pred_instances[sample.pred_instances.scores > least].cpu()
    return Found(
        sure.bboxes.numpy(),
        sure.labels.numpy(),
        sure.scores.numpy(),
        sure.masks.numpy() > 0 if "masks" in sure else None,
    )


def detection_figure(
    images: Sequence[np.ndarray],
    columns: Mapping[str, Sequence[Found]],
    classes: Sequence[str],
    title: str = "",
) -> Figure:
    """Draws a row for each image and a column for each source of boxes, such as the annotations or a detector.

    Args:
        images: (H, W, 3) uint8, red, green, blue.
        columns: Heading, then what is to be drawn in each image.
        classes: Names by class number.
        title: Printed on top.

    Returns:
        A figure with ``len(images) * len(columns)`` axes, row by row.

    Raises:
        ValueError: If there is nothing to draw, or a column has not one entry per image.
    """
    if not images or not columns:
        raise ValueError("there is nothing to draw: give at least one image and one column")
    for name, entries in columns.items():
        if len(entries) != len(images):
            raise ValueError(f"column {name!r} has {len(entries)} entries for {len(images)} images")
    height = 12.0 / len(columns) * images[0].shape[0] / images[0].shape[1]
    figure = new_figure(height * len(images) + (1.1 if title else 0.6), title)
    grid = figure.subplots(len(images), len(columns), squeeze=False)
    for row, image in enumerate(images):
        for axis, (name, entries) in zip(grid[row], columns.items(), strict=True):
            _draw(axis, image, entries[row], classes)
            if row == 0:
                axis.set_title(name, fontsize=13)
    return figure


def _draw(axis: Axes, image: np.ndarray, found: Found, classes: Sequence[str]) -> None:
    """One image with masks, boxes, names and scores."""
    picture = image.astype(np.float32) / 255
    for number, label in enumerate(found.labels):
        if found.masks is not None:
            mask = found.masks[number]
            picture[mask] = (1 - TINT) * picture[mask] + TINT * np.array(to_rgb(_colour(label)))
    axis.imshow(picture)
    axis.set_xticks([])
    axis.set_yticks([])
    for number, (box, label) in enumerate(zip(found.boxes, found.labels, strict=True)):
        left, top, right, bottom = (float(edge) for edge in box)
        # Pixel centres have whole coordinates, so a pixel's left edge lies half a pixel before.
        corner = (left - 0.5, top - 0.5)
        axis.add_patch(
            Rectangle(
                corner,
                right - left,
                bottom - top,
                fill=False,
                edgecolor=_colour(label),
                linewidth=1.5,
            )
        )
        score = "" if found.scores is None else f" {found.scores[number]:.2f}"
        # Beneath the box where there is no room above it.
        above = top > image.shape[0] / 12
        axis.text(
            corner[0],
            top - 1 if above else bottom,
            f"{classes[int(label)]}{score}",
            fontsize=8,
            color="black",
            verticalalignment="bottom" if above else "top",
            bbox={"facecolor": _colour(label), "edgecolor": "none", "pad": 0.8},
            clip_on=True,
        )


def _colour(label: int) -> str:
    """Of a class."""
    return EDGES[int(label) % len(EDGES)]
