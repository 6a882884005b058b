"""Closeness of views against spread of images, for several models."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from mixssl.visualization.style import look, panels

EDGES = np.linspace(0, 2, 61).tolist()
"""Of the histograms' bins; two points of the unit sphere are at most 2 apart."""

GREY = "#555555"


class Distances(NamedTuple):
    """What is drawn of a model.

    Attributes:
        views: Distance of two views of an image on the unit sphere, (N,), in [0, 2].
        images: Distance of two different images, (M,), in [0, 2].
        alignment: As :func:`mixssl.evaluation.alignment` gives it.
        uniformity: As :func:`mixssl.evaluation.uniformity` gives it.
    """

    views: Tensor
    images: Tensor
    alignment: float
    uniformity: float


def alignment_figure(models: Mapping[str, Distances], title: str = "") -> Figure:
    """Draws where views and images lie apart in each model, and all models in one plane.

    Args:
        models: Heading of a panel to its distances.
        title: Printed on top.

    Returns:
        A figure with a panel of two histograms for each model, and one of alignment against uniformity, where the
        better corner is at the lower left.
    """
    figure, (*own, plane) = panels(len(models) + 1, 4, 3.6, title)
    for number, (panel, (name, found)) in enumerate(zip(own, models.items(), strict=True)):
        colour, marker = look(number)
        views, images = found.views.cpu().numpy(), found.images.cpu().numpy()
        panel.hist(
            views, EDGES, density=True, color=colour, alpha=0.75, label="two views of an image"
        )
        panel.hist(images, EDGES, density=True, color=GREY, histtype="step", label="two images")
        panel.set_title(name, fontsize=13)
        panel.set_xlabel("distance on the unit sphere", fontsize=11)
        panel.set_yticks([])
        panel.legend(fontsize=9)
        plane.scatter(
            found.uniformity, found.alignment, s=110, color=colour, marker=marker, label=name
        )
    plane.set_xlabel("uniformity (lower: more even)", fontsize=11)
    plane.set_ylabel("alignment (lower: closer)", fontsize=11)
    plane.set_title("all", fontsize=13)
    plane.margins(0.25)
    plane.grid(alpha=0.3)
    plane.legend(fontsize=10)
    return figure
