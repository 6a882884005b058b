"""Models: methods, mix heads, data preprocessors, layers, losses, banks."""

from mixssl.models import data_preprocessors, heads, layers, losses, memory, methods, necks

__all__ = ["data_preprocessors", "heads", "layers", "losses", "memory", "methods", "necks"]
