"""Protocols that say what features are worth."""

from mixssl.evaluation.features import FeatureSet, extract_features
from mixssl.evaluation.knn import accuracy, majority_knn, weighted_knn
from mixssl.evaluation.linear import (
    LinearProbe,
    choose_lr,
    fit_linear_probe,
    logistic_regression,
    top_k_accuracy,
)
from mixssl.evaluation.pretrained import load_parts
from mixssl.evaluation.protocols import PROTOCOLS, evaluate, knn_accuracy
from mixssl.evaluation.state import kept_random_state, undisturbed

__all__ = [
    "PROTOCOLS",
    "FeatureSet",
    "LinearProbe",
    "accuracy",
    "choose_lr",
    "evaluate",
    "extract_features",
    "fit_linear_probe",
    "kept_random_state",
    "knn_accuracy",
    "load_parts",
    "logistic_regression",
    "majority_knn",
    "top_k_accuracy",
    "undisturbed",
    "weighted_knn",
]
