"""From a model and its loaders to figures."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from torch import nn
from torch.utils.data import DataLoader

from mixssl.evaluation.features import FeatureSet, extract_features
from mixssl.evaluation.knn import accuracy, majority_knn, weighted_knn
from mixssl.evaluation.linear import fit_linear_probe, logistic_regression
from mixssl.utils.distributed import unwrap


class Protocol(NamedTuple):
    """A way to judge features that needs no training of the backbone.

    Attributes:
        title: What it is, in words for a table.
        feature: As in ``extract_features``.
        accuracy: From the features to learn from, those to classify, a device, and settings of a linear probe to
            percent.
    """

    title: str
    feature: str
    accuracy: Callable[[FeatureSet, FeatureSet, torch.device, Mapping[str, Any]], float]


def require_labels(queries: FeatureSet) -> torch.Tensor:
    """The labels of the images to classify.

    Raises:
        ValueError: There are none.
    """
    if queries.labels is None:
        raise ValueError(
            "the queries have no labels; use a data set whose samples carry one gt_label each."
        )
    return queries.labels


_Probe = Mapping[str, Any]


def _weighted(bank: FeatureSet, queries: FeatureSet, device: torch.device, _: _Probe) -> float:
    labels = require_labels(queries)
    return accuracy(weighted_knn(queries.features, *bank, device=device), labels)


def _majority(bank: FeatureSet, queries: FeatureSet, device: torch.device, _: _Probe) -> float:
    labels = require_labels(queries)
    return accuracy(majority_knn(queries.features, *bank, device=device), labels)


def _linear(bank: FeatureSet, queries: FeatureSet, device: torch.device, probe: _Probe) -> float:
    labels = require_labels(queries)
    fitted = fit_linear_probe(bank.features.to(device), bank.labels, **probe)
    return accuracy(fitted.predict(queries.features), labels)


def _logistic(bank: FeatureSet, queries: FeatureSet, device: torch.device, _: _Probe) -> float:
    labels = require_labels(queries)
    return accuracy(logistic_regression(*bank, queries.features), labels)


PROTOCOLS: dict[str, Protocol] = {
    "knn200": Protocol("weighted 200-NN, τ 0.1, backbone", "backbone", _weighted),
    "knn200_projected": Protocol("weighted 200-NN, τ 0.1, projected", "projected", _weighted),
    "knn5": Protocol("5-NN, Euclidean, backbone", "backbone", _majority),
    "linear": Protocol("linear probe on cached features", "backbone", _linear),
    "logistic": Protocol("logistic regression", "backbone", _logistic),
}
"""Those with the papers' settings, and logistic regression for small sets; tools/evaluate/ has them with others."""


def evaluate(
    model: nn.Module,
    bank: DataLoader,
    query: DataLoader,
    protocols: Sequence[str],
    tokens: str = "cls",
    linear_probe: Mapping[str, Any] | None = None,
) -> dict[str, float]:
    """Accuracy of a model in percent by several protocols; each kind of features is extracted once.

    Args:
        model: An mmpretrain model, also in its distributed wrapper; left as it was.
        bank: Gives the images to learn from, one plain labelled view per image.
        query: Gives the images to classify, likewise.
        protocols: Names in ``PROTOCOLS``.
        tokens: As in ``extract_features``.
        linear_probe: Settings of :func:`fit_linear_probe` that differ from the papers', for data sets that need it.

    Returns:
        Name to percent, in the order of the names.

    Raises:
        ValueError: An unknown name, or what the protocols raise.
    """
    unknown = [name for name in protocols if name not in PROTOCOLS]
    if unknown or not protocols:
        what = f"there is no protocol {unknown[0]!r}" if unknown else "no protocol was named"
        raise ValueError(f"{what}; choose from {', '.join(PROTOCOLS)}.")
    device = next(unwrap(model).parameters()).device
    found: dict[str, float] = {}
    for feature in dict.fromkeys(PROTOCOLS[name].feature for name in protocols):
        sets = [extract_features(model, loader, feature, tokens) for loader in (bank, query)]
        for name in protocols:
            if PROTOCOLS[name].feature == feature:
                found[name] = PROTOCOLS[name].accuracy(sets[0], sets[1], device, linear_probe or {})
    return {name: found[name] for name in protocols}


def knn_accuracy(
    model: nn.Module,
    bank: DataLoader,
    query: DataLoader,
    feature: str = "backbone",
    tokens: str = "cls",
    k: int = 200,
    temperature: float = 0.1,
    query_chunk: int = 256,
    bank_chunk: int = 65536,
) -> float:
    """Weighted k-NN accuracy of a model in percent, the same on every rank; the model is left as it was.

    Each rank extracts its share of both sets and classifies its share of the queries. Features lie on the CPU, once on
    each rank; chunks of them are compared on the model's device.

    Args:
        model: An mmpretrain model, also in its distributed wrapper.
        bank: Gives the neighbours, one plain labelled view per image.
        query: Gives the images to classify, likewise.
        feature: As in ``extract_features``.
        tokens: As in ``extract_features``.
        k: As in ``weighted_knn``.
        temperature: As in ``weighted_knn``.
        query_chunk: As in ``weighted_knn``.
        bank_chunk: As in ``weighted_knn``.

    Raises:
        ValueError: What ``extract_features`` and ``weighted_knn`` raise, or queries without labels.
    """
    known = extract_features(model, bank, feature, tokens)
    asked = extract_features(model, query, feature, tokens)
    labels = require_labels(asked)
    share = slice(get_rank(), None, get_world_size())
    right = torch.zeros((), dtype=torch.int64)
    # With fewer queries than ranks a share is empty.
    if len(asked.features[share]):
        predictions = weighted_knn(
            asked.features[share],
            known.features,
            known.labels,
            k,
            temperature,
            query_chunk,
            bank_chunk,
            device=next(unwrap(model).parameters()).device,
        )
        right = (predictions == labels[share]).sum()
    all_reduce(right)
    return 100.0 * right.item() / len(labels)
