"""Predefined policies: two images become one by a fixed rule, with a random partner in the batch."""

from mixssl.mixing.policies.base import BetaPolicy, Policy
from mixssl.mixing.policies.cluster_puzzlemix import ClusterPuzzleMix
from mixssl.mixing.policies.cutmix import CutMix
from mixssl.mixing.policies.fmix import FMix, fourier_masks
from mixssl.mixing.policies.inter_intra import InterIntra, cluster_partners
from mixssl.mixing.policies.manifoldmix import ManifoldMix
from mixssl.mixing.policies.mixup import MixUp
from mixssl.mixing.policies.puzzlemix import PuzzleMix
from mixssl.mixing.policies.resizemix import ResizeMix, resize_paste
from mixssl.mixing.policies.saliencymix import SaliencyMix

__all__ = [
    "BetaPolicy",
    "ClusterPuzzleMix",
    "CutMix",
    "FMix",
    "InterIntra",
    "ManifoldMix",
    "MixUp",
    "Policy",
    "PuzzleMix",
    "ResizeMix",
    "SaliencyMix",
    "cluster_partners",
    "fourier_masks",
    "resize_paste",
]
