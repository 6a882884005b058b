"""Errors that a person at a terminal can act on; the tools print their one line without a traceback."""

from __future__ import annotations

__all__ = ["ConfigError", "NonFiniteLossError"]


class ConfigError(ValueError):
    """Something in the config, the arguments or the files named there can't work. The line says what to change."""


class NonFiniteLossError(ArithmeticError):
    """A loss has become NaN or infinite. The line says where, and where the last good checkpoint lies."""
