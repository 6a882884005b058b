"""Optimizers, and what wraps them."""

from mixssl.engine.optimizers.bfloat16 import BFloat16OptimWrapper
from mixssl.engine.optimizers.lars import LARS

__all__ = ["LARS", "BFloat16OptimWrapper"]
