"""Supervised classifiers that learn from mixtures."""

from mixssl.models.classifiers.amix_classifier import AMixClassifier

__all__ = ["AMixClassifier"]
