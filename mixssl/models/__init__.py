"""Models: methods, classifiers, mix heads, backbones, preprocessors, layers, losses, banks, parts for detectors."""

from mixssl.models import (
    backbones,
    classifiers,
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
    "classifiers",
    "data_preprocessors",
    "detection",
    "heads",
    "layers",
    "losses",
    "memory",
    "methods",
    "necks",
]
