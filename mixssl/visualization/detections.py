"""What detectors find, beside what is there."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from mixssl.datasets.digit_scenes import mask_of
from mixssl.visualization.style import COLOURS, WIDTH, new_figure, outline

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
    sure = sample.pred_instances[sample.pred_instances.scores > least].cpu().numpy()
    masks = sure.masks > 0 if "masks" in sure else None
    return Found(sure.bboxes, sure.labels, sure.scores, masks)


def detection_figure(
    images: Sequence[np.ndarray],
    columns: Mapping[str, Sequence[Found]],
    classes: Sequence[str],
    title: str = "",
) -> Figure:
    """Draws a row for each image and a column for each source of boxes, such as the annotations or a detector.

    mmdet's visualizer draws into the image, where names beside boxes of 30 pixels can't be read.

    Args:
        images: (H, W, 3) uint8, red, green, blue.
        columns: Heading, then what is to be drawn in each image.
        classes: Names by class number.
        title: Printed on top.

    Returns:
        A figure with ``len(images) * len(columns)`` axes, row by row.
    """
    height = WIDTH / len(columns) * images[0].shape[0] / images[0].shape[1]
    figure = new_figure(height * len(images) + (1.1 if title else 0.6), title)
    grid = figure.subplots(len(images), len(columns), squeeze=False)
    for axes, image, found in zip(grid, images, zip(*columns.values(), strict=True), strict=True):
        for axis, own in zip(axes, found, strict=True):
            _draw(axis, image, own, classes)
    for axis, name in zip(grid[0], columns, strict=True):
        axis.set_title(name, fontsize=13)
    return figure


def _draw(axis: Axes, image: np.ndarray, found: Found, classes: Sequence[str]) -> None:
    """One image with masks, boxes, names and scores."""
    picture = image.astype(np.float32) / 255
    colours = [EDGES[int(label) % len(EDGES)] for label in found.labels]
    for colour, mask in zip(colours, [] if found.masks is None else found.masks, strict=False):
        picture[mask] = (1 - TINT) * picture[mask] + TINT * np.array(to_rgb(colour))
    axis.imshow(picture)
    axis.set(xticks=[], yticks=[])
    for number, (colour, box) in enumerate(zip(colours, found.boxes, strict=True)):
        left, top, right, bottom = box.tolist()
        outline(axis, (top, left, bottom, right), colour)
        score = "" if found.scores is None else f" {found.scores[number]:.2f}"
        # Beneath the box where there is no room above it.
        place, side = (top - 1, "bottom") if top > image.shape[0] / 12 else (bottom, "top")
        name = f"{classes[int(found.labels[number])]}{score}"
        label = axis.text(left - 0.5, place, name, fontsize=8, va=side, clip_on=True)
        label.set_bbox({"facecolor": colour, "edgecolor": "none", "pad": 0.8})
