"""k-nearest-neighbour evaluation of features: no training, no parameters to tune but k."""

import torch
from torch import Tensor

from mixssl.evaluation.neighbours import nearest_by_cosine, nearest_by_distance


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

    The bank passes the device in chunks, once. Beside the arguments the device holds at most about
    20 * bank_chunk * D + 5 * query_chunk * bank_chunk + 12 * Q * (k + D) bytes: 4 GiB for ImageNet's 1,281,167 images
    and 50,000 queries at D = 2048 and the default chunks, however large the bank; a bank in float16 takes 5 GiB of the
    memory it lies in.

    Args:
        queries: (Q, D), float; need not be normalised.
        bank: (M, D), float (float16 halves its memory); may lie on another device.
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
    labels = _check(queries, bank, labels, k, (query_chunk, bank_chunk))
    if temperature <= 0:
        raise ValueError(f"k-NN: temperature is {temperature}; it must be above 0 (0.1 is usual).")
    device = torch.device(device) if device is not None else queries.device
    similarity, index = nearest_by_cosine(queries, bank, k, query_chunk, bank_chunk, device)
    voters = labels.to(device)[index]
    # Relative to the nearest, so that no temperature overflows; double, so that equal votes stay equal.
    weights = ((similarity - similarity[:, :1]).double() / temperature).exp()
    return _vote(weights, voters, int(labels.max()) + 1).to(queries.device)


def majority_knn(
    queries: Tensor,
    bank: Tensor,
    labels: Tensor | None,
    k: int = 5,
    query_chunk: int = 256,
    bank_chunk: int = 65536,
    device: str | torch.device | None = None,
) -> Tensor:
    """Class of each query by an unweighted vote of its k nearest neighbours in Euclidean distance.

    With k = 5 the protocol of the W-MSE repository, which Un-Mix follows on small data sets. The search is exact, as
    scikit-learn's; of equally distant images the one that comes first in the bank counts, of classes with equal votes
    the lowest. Arguments, memory (and 6144 * (k + 16) * D bytes more) and errors as ``weighted_knn``.
    """
    labels = _check(queries, bank, labels, k, (query_chunk, bank_chunk))
    device = torch.device(device) if device is not None else queries.device
    _, index = nearest_by_distance(queries, bank, k, query_chunk, bank_chunk, device)
    voters = labels.to(device)[index]
    return _vote(torch.ones_like(voters), voters, int(labels.max()) + 1).to(queries.device)


def _check(
    queries: Tensor, bank: Tensor, labels: Tensor | None, k: int, chunks: tuple[int, int]
) -> Tensor:
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
    check_neighbours(k, len(bank))
    if min(chunks) < 1:
        raise ValueError(f"k-NN: chunks are {chunks[0]} and {chunks[1]}; both must be at least 1.")
    return labels


def _vote(weights: Tensor, voters: Tensor, classes: int) -> Tensor:
    """Class with the most votes, (Q,), from the neighbours' weights and classes, (Q, k) each."""
    votes = weights.new_zeros((len(voters), classes)).scatter_add_(1, voters, weights)
    winners = votes == votes.amax(1, keepdim=True)
    numbers = torch.arange(classes, device=voters.device)
    return numbers.where(winners, classes).amin(1)
