"""Protocols that say what features are worth."""
