"""Protocols that say what features are worth."""

from mixssl.evaluation.attention import attention_maps, head_maps, spread
from mixssl.evaluation.features import FeatureSet, extract_features, extract_views
from mixssl.evaluation.geometry import ClusterIndices, alignment, cluster_indices, uniformity
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
from mixssl.evaluation.state import undisturbed
from mixssl.evaluation.without_labels import feature_std, lidar, rank_me

__all__ = [
    "PROTOCOLS",
    "ClusterIndices",
    "FeatureSet",
    "LinearProbe",
    "accuracy",
    "alignment",
    "attention_maps",
    "choose_lr",
    "cluster_indices",
    "evaluate",
    "extract_features",
    "extract_views",
    "feature_std",
    "fit_linear_probe",
    "head_maps",
    "knn_accuracy",
    "lidar",
    "load_parts",
    "logistic_regression",
    "majority_knn",
    "rank_me",
    "spread",
    "top_k_accuracy",
    "undisturbed",
    "uniformity",
    "weighted_knn",
]
