"""k-nearest-neighbour evaluation of features: no training, no parameters to tune but k."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

__all__ = ["accuracy", "check_neighbours", "majority_knn", "weighted_knn"]


def accuracy(predictions: Tensor, labels: Tensor) -> float:
    """Share of right predictions in percent; both (N,), int64."""
    if predictions.shape != labels.shape or len(labels) == 0:
        raise ValueError(
            f"accuracy: {tuple(predictions.shape)} predictions for {tuple(labels.shape)} labels; "
            "there must be as many, and at least one."
        )
    return 100.0 * (predictions == labels.to(predictions.device)).double().mean().item()


def check_neighbours(k: int, bank_size: int) -> None:
    """Raise ValueError unless 1 <= k <= bank_size."""
    if not 1 <= k <= bank_size:
        raise ValueError(
            f"k-NN: k is {k}, but the bank has {bank_size} images; "
            f"choose k between 1 and {bank_size}, or a larger bank."
        )


def weighted_knn(
    queries: Tensor,
    bank: Tensor,
    labels: Tensor | None,
    k: int = 200,
    temperature: float = 0.1,
    query_chunk: int = 256,
    bank_chunk: int = 65536,
    device: str | torch.device | None = None,
) -> Tensor:
    """Class of each query by a vote of its k nearest neighbours in cosine similarity.

    A neighbour of similarity s votes with exp(s / temperature) for its class (Wu et al., Unsupervised Feature Learning
    via Non-Parametric Instance Discrimination, section 3.4). The search is exact. Of equally similar images the one
    that comes first in the bank counts, of classes with equal votes the lowest.

    Memory beside the arguments: about 5 bytes * query_chunk * bank_chunk, plus 24 bytes * query_chunk * k.

    Args:
        queries: (Q, D), float; need not be normalised.
        bank: (M, D), float; may lie on another device.
        labels: Class of each image in the bank, (M,), int64, >= 0.
        k: Number of neighbours, in [1, M].
        temperature: > 0, in units of cosine similarity.
        query_chunk: Queries compared at a time.
        bank_chunk: Bank images compared at a time.
        device: Where to compute; None for that of the queries.

    Returns:
        Predicted classes, (Q,), int64, on the device of the queries.

    Raises:
        ValueError: Missing or unfit labels, k out of range, empty or non-finite features, shapes that don't match.
    """
    labels = _check(queries, bank, labels)
    check_neighbours(k, len(bank))
    if temperature <= 0:
        raise ValueError(f"k-NN: temperature is {temperature}; it must be above 0 (0.1 is usual).")
    if query_chunk < 1 or bank_chunk < 1:
        raise ValueError(
            f"k-NN: chunks are {query_chunk} and {bank_chunk}; both must be at least 1."
        )
    device = torch.device(device) if device is not None else queries.device
    classes = int(labels.max()) + 1
    labels = labels.to(device)
    predictions = []
    for chunk in queries.split(query_chunk):
        similarity, index = _nearest(_unit(chunk.to(device)), bank, k, bank_chunk)
        predictions.append(_vote(similarity, labels[index], classes, temperature))
    return torch.cat(predictions).to(queries.device)


def majority_knn(queries: Tensor, bank: Tensor, labels: Tensor | None, k: int = 5) -> Tensor:
    """Class of each query by an unweighted vote of its k nearest neighbours in Euclidean distance.

    With k = 5 the protocol of the W-MSE repository, which Un-Mix follows on small data sets. scikit-learn's exact
    search; of classes with equal votes the lowest wins.

    Args:
        queries: (Q, D), float.
        bank: (M, D), float.
        labels: (M,), int64, >= 0.
        k: Number of neighbours, in [1, M].

    Returns:
        Predicted classes, (Q,), int64, on the device of the queries.

    Raises:
        ValueError: As ``weighted_knn``.
    """
    labels = _check(queries, bank, labels)
    check_neighbours(k, len(bank))
    classifier = KNeighborsClassifier(n_neighbors=k, algorithm="brute")
    classifier.fit(bank.float().cpu().numpy(), labels.cpu().numpy())
    return torch.from_numpy(classifier.predict(queries.float().cpu().numpy())).to(queries.device)


def _check(queries: Tensor, bank: Tensor, labels: Tensor | None) -> Tensor:
    """The labels, if everything fits."""
    if queries.ndim != 2 or bank.ndim != 2 or queries.shape[1] != bank.shape[1]:
        raise ValueError(
            f"k-NN: queries {tuple(queries.shape)} and bank {tuple(bank.shape)} must be (Q, D) and (M, D), "
            "with the same D."
        )
    if len(queries) == 0 or len(bank) == 0:
        raise ValueError(
            f"k-NN: {len(queries)} queries and {len(bank)} bank images; both need at least one."
        )
    if labels is None:
        raise ValueError(
            "k-NN: the bank has no labels; use a data set whose samples carry one gt_label each."
        )
    if labels.shape != bank.shape[:1] or labels.is_floating_point() or int(labels.min()) < 0:
        raise ValueError(
            f"k-NN: labels {tuple(labels.shape)} of {labels.dtype} for {len(bank)} bank images; "
            "there must be one integer >= 0 for each."
        )
    return labels


def _unit(features: Tensor) -> Tensor:
    """Rows (N, D) of length 1, float32; checked here, a chunk at a time, because a bank may be large."""
    if not bool(features.isfinite().all()):
        raise ValueError("k-NN: the features hold NaN or infinity; has the training diverged?")
    return F.normalize(features.float())


def _nearest(queries: Tensor, bank: Tensor, k: int, chunk: int) -> tuple[Tensor, Tensor]:
    """Similarities and bank positions, (Q, k) each, of the k nearest, nearest first, equals by position."""
    best = queries.new_empty((len(queries), 0))
    index = torch.empty_like(best, dtype=torch.int64)
    for start in range(0, len(bank), chunk):
        part = _unit(bank[start : start + chunk].to(queries.device))
        similarity, column = _top_k(queries @ part.T, k)
        # Earlier chunks come first, so a stable sort leaves equals in the bank's order.
        best, order = torch.cat([best, similarity], 1).sort(dim=1, descending=True, stable=True)
        index = torch.cat([index, column + start], 1).gather(1, order)
        best, index = best[:, :k], index[:, :k]
    return best, index


def _top_k(similarity: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row and their columns, largest first, equals by column."""
    k = min(k, similarity.shape[1])
    values, columns = similarity.topk(k, dim=1)
    # Which of the equals at the border topk takes is open; rows that have some are sorted in full.
    rows = ((similarity >= values[:, -1:]).sum(1) > k).nonzero()[:, 0]
    if len(rows):
        ordered = similarity[rows].sort(dim=1, descending=True, stable=True)
        values[rows], columns[rows] = ordered.values[:, :k], ordered.indices[:, :k]
    columns, order = columns.sort(dim=1)
    values, order = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)


def _vote(similarity: Tensor, labels: Tensor, classes: int, temperature: float) -> Tensor:
    """Class with the most votes, (Q,), from neighbours (Q, k)."""
    # Relative to the nearest, so that no temperature overflows; double, so that equal votes stay equal.
    weights = ((similarity - similarity[:, :1]).double() / temperature).exp()
    votes = weights.new_zeros((len(labels), classes)).scatter_add_(1, labels, weights)
    winners = votes == votes.amax(1, keepdim=True)
    numbers = torch.arange(classes, device=labels.device)
    return numbers.where(winners, classes).amin(1)
