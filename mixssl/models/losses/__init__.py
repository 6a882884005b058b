"""The maths of losses, as pure functions."""

from mixssl.models.losses.info_nce import info_nce, soft_info_nce

__all__ = ["info_nce", "soft_info_nce"]
