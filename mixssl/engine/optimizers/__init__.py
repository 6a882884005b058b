"""Optimizers."""

from mixssl.engine.optimizers.lars import LARS

__all__ = ["LARS"]
