"""Adapters: one SSL method each, over the template in base.py."""

from mixssl.models.methods.barlowtwins import MixBarlowTwins
from mixssl.models.methods.base import MixtureMethod
from mixssl.models.methods.byol import MixBYOL
from mixssl.models.methods.densecl import MixDenseCL
from mixssl.models.methods.dino import MixDINO
from mixssl.models.methods.distill import MixDistill
from mixssl.models.methods.moco import MixMoCo
from mixssl.models.methods.mocov3 import MixMoCoV3
from mixssl.models.methods.simclr import MixSimCLR
from mixssl.models.methods.simsiam import MixSimSiam
from mixssl.models.methods.swav import MixSwAV
from mixssl.models.methods.vicreg import MixVICReg
from mixssl.models.methods.wmse import MixWMSE

__all__ = [
    "MixBYOL",
    "MixBarlowTwins",
    "MixDINO",
    "MixDenseCL",
    "MixDistill",
    "MixMoCo",
    "MixMoCoV3",
    "MixSimCLR",
    "MixSimSiam",
    "MixSwAV",
    "MixVICReg",
    "MixWMSE",
    "MixtureMethod",
]
