"""Pixels: two images become one."""

from mixssl.mixing.amix import AMix
from mixssl.mixing.base import Layout, Mixer
from mixssl.mixing.crops import CropMix, ScaleMix, crop_ranges
from mixssl.mixing.deferred import DeferredMixture, Saliency
from mixssl.mixing.imix import ICutMix, IMix
from mixssl.mixing.local_global import InterCutMix, IntraCutMix, region_boxes, view_mixture
from mixssl.mixing.mixco import MixCo, halves_mixture
from mixssl.mixing.mixmask import MixMask
from mixssl.mixing.multiscale import MultiScale
from mixssl.mixing.ops import blend, box_mask, mask_blend, paste
from mixssl.mixing.patchmix import PatchMix, patch_mask
from mixssl.mixing.policies.base import Policy
from mixssl.mixing.policies.cluster_puzzlemix import ClusterPuzzleMix
from mixssl.mixing.policies.cutmix import CutMix
from mixssl.mixing.policies.fmix import FMix
from mixssl.mixing.policies.inter_intra import InterIntra
from mixssl.mixing.policies.manifoldmix import ManifoldMix
from mixssl.mixing.policies.mixup import MixUp
from mixssl.mixing.policies.puzzlemix import PuzzleMix
from mixssl.mixing.policies.resizemix import ResizeMix
from mixssl.mixing.policies.saliencymix import SaliencyMix
from mixssl.mixing.regioncl import RegionCL
from mixssl.mixing.saliency import center_surround
from mixssl.mixing.sampling import (
    StepRandom,
    StreamRandom,
    beta,
    cut_boxes,
    random_partner,
    reverse_partner,
    uniform,
)
from mixssl.mixing.sdmp import SDMP
from mixssl.mixing.stack import Stack
from mixssl.mixing.unmix import UnMix, global_mixture, region_mixture

__all__ = [
    "SDMP",
    "AMix",
    "ClusterPuzzleMix",
    "CropMix",
    "CutMix",
    "DeferredMixture",
    "FMix",
    "ICutMix",
    "IMix",
    "InterCutMix",
    "InterIntra",
    "IntraCutMix",
    "Layout",
    "ManifoldMix",
    "MixCo",
    "MixMask",
    "MixUp",
    "Mixer",
    "MultiScale",
    "PatchMix",
    "Policy",
    "PuzzleMix",
    "RegionCL",
    "ResizeMix",
    "Saliency",
    "SaliencyMix",
    "ScaleMix",
    "Stack",
    "StepRandom",
    "StreamRandom",
    "UnMix",
    "beta",
    "blend",
    "box_mask",
    "center_surround",
    "crop_ranges",
    "cut_boxes",
    "global_mixture",
    "halves_mixture",
    "mask_blend",
    "paste",
    "patch_mask",
    "random_partner",
    "region_boxes",
    "region_mixture",
    "reverse_partner",
    "uniform",
    "view_mixture",
]
