"""Necks: from feature maps to embeddings and masks."""

from mixssl.models.necks.region_pool import RegionPool, interpolation_matrix, region_weights

__all__ = ["RegionPool", "interpolation_matrix", "region_weights"]
