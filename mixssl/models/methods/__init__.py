"""Adapters: one SSL method each, over the template in base.py."""

from mixssl.models.methods.base import MixtureMethod, View
from mixssl.models.methods.moco import MixMoCo
from mixssl.models.methods.wmse import MixWMSE

__all__ = ["MixMoCo", "MixWMSE", "MixtureMethod", "View"]
