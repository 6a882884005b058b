"""Image mixtures for self-supervised visual pre-training in the OpenMMLab stack."""

from mixssl.version import __version__

__all__ = ["__version__"]
