"""Mix heads: from mixtures to terms of the loss."""

from mixssl.models.heads.base import MixHead
from mixssl.models.heads.unmix_head import UnMixHead

__all__ = ["MixHead", "UnMixHead"]
