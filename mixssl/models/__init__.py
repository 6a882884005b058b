"""Models: methods, mix heads, backbones, data preprocessors, layers, losses, banks."""

from mixssl.models import (
    backbones,
    data_preprocessors,
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
    "heads",
    "layers",
    "losses",
    "memory",
    "methods",
    "necks",
]
