"""Necks: from feature maps to embeddings and masks."""

from mixssl.models.necks.dino_neck import DINONeck
from mixssl.models.necks.distill_neck import DistillNeck
from mixssl.models.necks.mask_ops import adjust_mask
from mixssl.models.necks.mix_block import MixBlock, MixBlockPlus
from mixssl.models.necks.mix_block_presets import preset_mix_block
from mixssl.models.necks.region_pool import RegionPool, interpolation_matrix, region_weights

__all__ = [
    "DINONeck",
    "DistillNeck",
    "MixBlock",
    "MixBlockPlus",
    "RegionPool",
    "adjust_mask",
    "interpolation_matrix",
    "preset_mix_block",
    "region_weights",
]
