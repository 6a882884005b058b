"""Pictures of mixtures, features and runs: functions that return figures and leave files to the caller."""

from mixssl.visualization.batches import draw_mixtures
from mixssl.visualization.curves import curves_figure
from mixssl.visualization.features import tsne_figure
from mixssl.visualization.mixtures import mixture_figure, mixture_kind
from mixssl.visualization.style import save_figure

__all__ = [
    "curves_figure",
    "draw_mixtures",
    "mixture_figure",
    "mixture_kind",
    "save_figure",
    "tsne_figure",
]
