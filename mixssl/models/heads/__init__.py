"""Mix heads: from mixtures to terms of the loss."""

from mixssl.models.heads.amix_head import AMixHead
from mixssl.models.heads.base import MixHead
from mixssl.models.heads.blend_head import BlendHead
from mixssl.models.heads.distill_head import DistillHead
from mixssl.models.heads.imix_head import IMixHead, IMixPredictHead
from mixssl.models.heads.local_global_head import InterLocalGlobalHead, IntraLocalGlobalHead
from mixssl.models.heads.mixco_head import MixCoHead
from mixssl.models.heads.mochi_head import MoCHiHead
from mixssl.models.heads.multiscale_head import MultiScaleHead
from mixssl.models.heads.overlap_head import OverlapHead
from mixssl.models.heads.regioncl_head import RegionCLHead
from mixssl.models.heads.scalemix_head import ScaleMixHead
from mixssl.models.heads.stack_head import StackHead
from mixssl.models.heads.unmix_head import UnMixHead

__all__ = [
    "AMixHead",
    "BlendHead",
    "DistillHead",
    "IMixHead",
    "IMixPredictHead",
    "InterLocalGlobalHead",
    "IntraLocalGlobalHead",
    "MixCoHead",
    "MixHead",
    "MoCHiHead",
    "MultiScaleHead",
    "OverlapHead",
    "RegionCLHead",
    "ScaleMixHead",
    "StackHead",
    "UnMixHead",
]
