"""Hooks that run beside training."""
