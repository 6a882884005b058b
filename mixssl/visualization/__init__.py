"""Pictures of mixtures, features and runs: functions that return figures and leave files to the caller."""

from mixssl.visualization.batches import (
    build_model,
    clean_views,
    draw_mixtures,
    sample_mixtures,
)
from mixssl.visualization.curves import curves_figure
from mixssl.visualization.features import tsne_figure
from mixssl.visualization.mixtures import mixture_figure, mixture_kind
from mixssl.visualization.stages import stages_figure
from mixssl.visualization.style import figure_pixels, save_figure

__all__ = [
    "build_model",
    "clean_views",
    "curves_figure",
    "draw_mixtures",
    "figure_pixels",
    "mixture_figure",
    "mixture_kind",
    "sample_mixtures",
    "save_figure",
    "stages_figure",
    "tsne_figure",
]
