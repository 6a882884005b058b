"""What runs beside training, and optimizers."""

from mixssl.engine import hooks, optimizers

__all__ = ["hooks", "optimizers"]
