"""Models: methods, mix heads, backbones, data preprocessors, layers, losses, banks, parts for detectors."""

from mixssl.models import (
    backbones,
    data_preprocessors,
    detection,
    heads,
    layers,
    losses,
    memory,
    methods,
    necks,
)

__all__ = [
    "backbones",
    "data_preprocessors",
    "detection",
    "heads",
    "layers",
    "losses",
    "memory",
    "methods",
    "necks",
]
