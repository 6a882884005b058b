"""Hooks that run beside training."""

from mixssl.engine import hooks

__all__ = ["hooks"]
