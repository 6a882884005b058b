"""Protocols that say what features are worth."""

from mixssl.evaluation.features import FeatureSet, extract_features
from mixssl.evaluation.knn import accuracy, majority_knn, weighted_knn
from mixssl.evaluation.linear import LinearProbe, fit_linear_probe, logistic_regression
from mixssl.evaluation.protocols import knn_accuracy
from mixssl.evaluation.state import kept_random_state, undisturbed

__all__ = [
    "FeatureSet",
    "LinearProbe",
    "accuracy",
    "extract_features",
    "fit_linear_probe",
    "kept_random_state",
    "knn_accuracy",
    "logistic_regression",
    "majority_knn",
    "undisturbed",
    "weighted_knn",
]
