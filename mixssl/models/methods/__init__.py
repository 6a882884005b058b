"""Adapters: one SSL method each, over the template in base.py."""

from mixssl.models.methods.base import MixtureMethod, View
from mixssl.models.methods.densecl import MixDenseCL
from mixssl.models.methods.moco import MixMoCo
from mixssl.models.methods.mocov3 import MixMoCoV3
from mixssl.models.methods.swav import MixSwAV
from mixssl.models.methods.wmse import MixWMSE

__all__ = ["MixDenseCL", "MixMoCo", "MixMoCoV3", "MixSwAV", "MixWMSE", "MixtureMethod", "View"]
