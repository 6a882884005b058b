"""Mix heads: from mixtures to terms of the loss."""

from mixssl.models.heads.base import MixHead
from mixssl.models.heads.imix_head import IMixHead, IMixPredictHead
from mixssl.models.heads.mixco_head import MixCoHead
from mixssl.models.heads.unmix_head import UnMixHead

__all__ = [
    "IMixHead",
    "IMixPredictHead",
    "MixCoHead",
    "MixHead",
    "UnMixHead",
]
