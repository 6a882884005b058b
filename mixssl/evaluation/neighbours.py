"""Exact search for nearest neighbours in banks that need not fit on the device."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

SPARE = 16
"""Candidates beyond k whose distances are computed anew in double precision: far more than rounding can displace."""
RERANKED = 256
"""Queries whose candidates are compared anew at a time."""


def nearest_by_cosine(
    queries: Tensor, bank: Tensor, k: int, query_chunk: int, bank_chunk: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The k images of a bank that are most similar to each query by cosine.

    Args:
        queries: (Q, D), float; need not be normalised.
        bank: (M, D), float.
        k: In [1, M].
        query_chunk: Queries compared at a time.
        bank_chunk: Bank images compared at a time; each travels to the device once.
        device: Where to compute.

    Returns:
        Similarities (Q, k), float32, largest first, and positions in the bank (Q, k), int64; equals by position.

    Raises:
        ValueError: Features that are NaN or infinite.
    """
    asked = F.normalize(_finite(queries.to(device)))

    def compare(query: Tensor, part: Tensor) -> Tensor:
        return query @ part.T

    return _search(asked, bank, k, F.normalize, compare, (query_chunk, bank_chunk))


def nearest_by_distance(
    queries: Tensor, bank: Tensor, k: int, query_chunk: int, bank_chunk: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """The k images of a bank that are nearest to each query in Euclidean distance.

    Candidates are found in float32 and their distances computed anew in float64, so the order is that of the true
    distances. Arguments and errors as ``nearest_by_cosine``.

    Returns:
        Distances (Q, k), float64, smallest first, and positions in the bank (Q, k), int64; equals by position.
    """
    # Any shift leaves distances as they are; this one keeps |b|² - 2qb from cancelling.
    shift = _finite(bank[:bank_chunk].to(device)).mean(0)
    asked = _finite(queries.to(device)) - shift

    def compare(query: Tensor, part: Tensor) -> Tensor:
        return query @ part.T - part.square().sum(1) / 2

    wanted = min(k + SPARE, len(bank))
    _, index = _search(
        asked, bank, wanted, lambda part: part - shift, compare, (query_chunk, bank_chunk)
    )
    return _by_true_distance(queries, bank, index, k, device)


def _search(
    asked: Tensor,
    bank: Tensor,
    k: int,
    prepare: Callable[[Tensor], Tensor],
    compare: Callable[[Tensor, Tensor], Tensor],
    chunks: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """The k largest scores of each query, largest first, equals by position, while the bank streams past once."""
    query_chunk, bank_chunk = chunks
    best = asked.new_full((len(asked), k), -torch.inf)
    index = torch.full_like(best, -1, dtype=torch.int64)
    for start in range(0, len(bank), bank_chunk):
        part = prepare(_finite(bank[start : start + bank_chunk].to(asked.device)))
        for first in range(0, len(asked), query_chunk):
            rows = slice(first, first + query_chunk)
            score, column = _top_k(compare(asked[rows], part), k)
            # Earlier chunks come first, so a stable sort leaves equals in the bank's order.
            both, order = torch.cat([best[rows], score], 1).sort(
                dim=1, descending=True, stable=True
            )
            position = torch.cat([index[rows], column + start], 1).gather(1, order)
            best[rows], index[rows] = both[:, :k], position[:, :k]
    return best, index


def _finite(features: Tensor) -> Tensor:
    """Rows (N, D) in float32; checked here, a chunk at a time, because a bank may be large."""
    if not bool(features.isfinite().all()):
        raise ValueError("k-NN: the features hold NaN or infinity; has the training diverged?")
    return features.float()


def _top_k(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row and their columns, largest first, equals by column."""
    k = min(k, scores.shape[1])
    values, columns = scores.topk(k, dim=1)
    # Which of the equals at the border topk takes is open; rows that have some are sorted in full.
    rows = ((scores >= values[:, -1:]).sum(1) > k).nonzero()[:, 0]
    if len(rows):
        ordered = scores[rows].sort(dim=1, descending=True, stable=True)
        values[rows], columns[rows] = ordered.values[:, :k], ordered.indices[:, :k]
    columns, order = columns.sort(dim=1)
    values, order = values.gather(1, order).sort(dim=1, descending=True, stable=True)
    return values, columns.gather(1, order)


def _by_true_distance(
    queries: Tensor, bank: Tensor, index: Tensor, k: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Distances of candidates (Q, k + spare) in float64, and the k nearest of them."""
    found, positions = [], []
    index = index.sort(dim=1).values
    for query, places in zip(queries.split(RERANKED), index.split(RERANKED), strict=True):
        near = bank[places.to(bank.device)].to(device).double()
        distance = (query.to(device).double()[:, None] - near).square().sum(2).sqrt()
        distance, order = distance.sort(dim=1, stable=True)
        found.append(distance[:, :k])
        positions.append(places.gather(1, order)[:, :k])
    return torch.cat(found), torch.cat(positions)
