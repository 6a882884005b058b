"""Pictures of mixtures, features and runs: functions that return figures and leave files to the caller."""

from mixssl.visualization.alignment import Distances, alignment_figure
from mixssl.visualization.attention import attention_figure
from mixssl.visualization.batches import build_model, clean_views, draw_mixtures, sample_mixtures
from mixssl.visualization.detections import Found, detection_figure
from mixssl.visualization.features import embed, points_figure
from mixssl.visualization.mixtures import mixture_figure, mixture_kind, stages_figure
from mixssl.visualization.runs import Series, read_run, runs_figure, scores_figure
from mixssl.visualization.style import figure_pixels, save_figure
from mixssl.visualization.weights import convolutions, weight_numbers, weights_figure

__all__ = [
    "Distances",
    "Found",
    "Series",
    "alignment_figure",
    "attention_figure",
    "build_model",
    "clean_views",
    "convolutions",
    "detection_figure",
    "draw_mixtures",
    "embed",
    "figure_pixels",
    "mixture_figure",
    "mixture_kind",
    "points_figure",
    "read_run",
    "runs_figure",
    "sample_mixtures",
    "save_figure",
    "scores_figure",
    "stages_figure",
    "weight_numbers",
    "weights_figure",
]
