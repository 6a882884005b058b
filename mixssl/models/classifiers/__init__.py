"""Supervised classifiers that learn from mixtures."""

from mixssl.models.classifiers.amix_classifier import AMixClassifier
from mixssl.models.classifiers.mix_classifier import MixClassifier

__all__ = ["AMixClassifier", "MixClassifier"]
