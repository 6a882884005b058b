"""From a model and its loaders to one figure."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce, get_rank, get_world_size
from torch import nn
from torch.utils.data import DataLoader

from mixssl.evaluation.features import extract_features, unwrap
from mixssl.evaluation.knn import weighted_knn

__all__ = ["knn_accuracy"]


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
    if asked.labels is None:
        raise ValueError(
            "k-NN: the queries have no labels; use a data set whose samples carry one gt_label each."
        )
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
        right = (predictions == asked.labels[share]).sum()
    all_reduce(right)
    return 100.0 * right.item() / len(asked.labels)
