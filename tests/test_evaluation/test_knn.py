"""k-NN against scikit-learn, by hand, and at its ties."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from support.device import DEVICE
from torch import Tensor

from mixssl.datasets import Digits
from mixssl.evaluation import accuracy, majority_knn, neighbours, weighted_knn


@pytest.fixture
def clouds() -> tuple[Tensor, Tensor, Tensor]:
    """Queries (150, 12), bank (400, 12) and labels of overlapping classes."""
    g = torch.Generator().manual_seed(0)
    centres = torch.randn(7, 12, generator=g)
    labels = torch.randint(0, 7, (400,), generator=g)
    bank = centres[labels] + 1.5 * torch.randn(400, 12, generator=g)
    queries = centres[torch.arange(150) % 7] + 1.5 * torch.randn(150, 12, generator=g)
    return queries.to(DEVICE), bank.to(DEVICE), labels.to(DEVICE)


@pytest.mark.device
@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (20, 0.1), (200, 0.07), (400, 1.0)])
def test_equals_scikit_learn(
    clouds: tuple[Tensor, Tensor, Tensor], k: int, temperature: float
) -> None:
    queries, bank, labels = clouds

    def weigh(distance: np.ndarray) -> np.ndarray:
        return np.exp((1 - distance.astype(np.float64)) / temperature)

    reference = KNeighborsClassifier(k, weights=weigh, metric="cosine", algorithm="brute")
    expected = reference.fit(bank.cpu(), labels.cpu()).predict(queries.cpu())
    assert weighted_knn(queries, bank, labels, k, temperature).tolist() == expected.tolist()


@pytest.mark.device
@pytest.mark.parametrize("chunks", [(50, 1), (7, 13), (1000, 50), (64, 399)])
def test_chunks_change_nothing(
    clouds: tuple[Tensor, Tensor, Tensor], chunks: tuple[int, int]
) -> None:
    queries, bank, labels = clouds
    kept = [part.clone() for part in clouds]
    whole = weighted_knn(queries, bank, labels, 30)
    parts = weighted_knn(queries, bank, labels, 30, query_chunk=chunks[0], bank_chunk=chunks[1])
    assert whole.equal(parts)
    assert all(part.equal(copy) for part, copy in zip(clouds, kept, strict=True))


def test_votes_by_hand() -> None:
    # Similarities to the query: 1 for class 0, 0.8 twice for class 1. Votes: e^(1/t) against 2 e^(0.8/t), equal where
    # 0.2 / t = ln 2, that is t = 0.2885.
    query = torch.tensor([[3.0, 0.0]])
    bank = torch.tensor([[2.0, 0.0], [0.8, 0.6], [8.0, -6.0]])
    labels = torch.tensor([0, 1, 1])
    border = 0.2 / math.log(2)
    assert weighted_knn(query, bank, labels, 3, border - 0.01).tolist() == [0]
    assert weighted_knn(query, bank, labels, 3, border + 0.01).tolist() == [1]
    assert weighted_knn(query, bank, labels, 1, 10.0).tolist() == [0]


def test_a_small_temperature_does_not_overflow() -> None:
    query, bank = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.9, 0.1], [1.0, 0.01]])
    assert weighted_knn(query, bank, torch.tensor([1, 0]), 2, temperature=1e-4).tolist() == [0]


@pytest.mark.parametrize("bank_chunk", [1, 3, 100])
def test_equal_similarity_takes_the_first_in_the_bank(bank_chunk: int) -> None:
    # Nine identical images, one nearer: with k = 4 the nearer one and the first three of the nine count.
    bank = torch.tensor([[0.0, 1.0]] * 9 + [[1.0, 1.0]])
    query = torch.tensor([[1.0, 1.0]])
    labels = torch.tensor([3, 3, 3, 1, 1, 1, 1, 1, 1, 5])
    assert weighted_knn(query, bank, labels, 4, 1e3, bank_chunk=bank_chunk).tolist() == [3]


def test_equal_votes_take_the_lowest_class() -> None:
    bank = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    labels = torch.tensor([4, 2, 2, 4])
    assert weighted_knn(torch.tensor([[1.0, 0.0]]), bank, labels, 4).tolist() == [2]


def test_majority_is_euclidean_and_unweighted() -> None:
    # By angle the far image of class 0 is nearest; by distance and majority class 1 wins.
    bank = torch.tensor([[100.0, 0.0], [1.0, 0.3], [1.0, -0.3]])
    query, labels = torch.tensor([[1.0, 0.0]]), torch.tensor([0, 1, 1])
    assert majority_knn(query, bank, labels, 3).tolist() == [1]
    assert weighted_knn(query, bank, labels, 1).tolist() == [0]


@pytest.mark.device
def test_majority_equals_a_plain_count(clouds: tuple[Tensor, Tensor, Tensor]) -> None:
    queries, bank, labels = clouds
    nearest = torch.cdist(queries.double(), bank.double()).argsort(1)[:, :5]
    expected = [int(torch.bincount(row, minlength=7).argmax()) for row in labels[nearest]]
    assert majority_knn(queries, bank, labels, 5).tolist() == expected


@pytest.mark.device
@pytest.mark.parametrize("k", [1, 5, 30])
def test_majority_equals_scikit_learn(clouds: tuple[Tensor, Tensor, Tensor], k: int) -> None:
    queries, bank, labels = clouds
    reference = KNeighborsClassifier(k, algorithm="brute").fit(bank.cpu(), labels.cpu())
    expected = reference.predict(queries.cpu()).tolist()
    assert majority_knn(queries, bank, labels, k).tolist() == expected
    parts = majority_knn(queries, bank, labels, k, query_chunk=11, bank_chunk=7)
    assert parts.tolist() == expected


def test_both_equal_scikit_learn_on_digits() -> None:
    (x, y), (queries, _) = (digits("train"), digits("test"))
    plain = KNeighborsClassifier(5, algorithm="brute").fit(x, y)
    assert majority_knn(queries, x, y).tolist() == plain.predict(queries).tolist()

    def weigh(distance: np.ndarray) -> np.ndarray:
        return np.exp((1 - distance.astype(np.float64)) / 0.1)

    voting = KNeighborsClassifier(200, weights=weigh, metric="cosine", algorithm="brute").fit(x, y)
    assert weighted_knn(queries, x, y).tolist() == voting.predict(queries).tolist()


def digits(split: str) -> tuple[Tensor, Tensor]:
    """Raw pixels, (N, 64), and labels."""
    dataset = Digits(split, size=8)
    images = np.stack([dataset.get_data_info(i)["img"][..., 0] for i in range(len(dataset))])
    return torch.from_numpy(images).flatten(1).float(), torch.from_numpy(dataset.get_gt_labels())


def test_distances_are_exact_where_float32_is_not() -> None:
    # Far from the origin |b|² - 2qb loses every digit that tells these apart.
    bank = torch.tensor([[1e4, 1e4]]) + torch.tensor([[0.03, 0.0], [0.0, 0.01], [0.02, 0.0]])
    far = torch.tensor([[-1e4, -1e4]]).expand(40, 2)
    labels = torch.tensor([0, 1, 2] + [3] * 40)
    query = torch.tensor([[1e4, 1e4]])
    assert majority_knn(query, torch.cat([bank, far]), labels, 1).tolist() == [1]


def test_a_bank_in_float16_gives_what_its_numbers_say(
    clouds: tuple[Tensor, Tensor, Tensor],
) -> None:
    queries, bank, labels = clouds
    half = bank.half()
    for vote in (weighted_knn, majority_knn):
        expected = vote(queries, half.float(), labels, k=20)
        assert vote(queries, half, labels, k=20, bank_chunk=33).equal(expected)


@pytest.mark.parametrize(("vote", "shift"), [(weighted_knn, []), (majority_knn, [160])])
def test_the_bank_passes_once_and_in_chunks(
    clouds: tuple[Tensor, Tensor, Tensor],
    monkeypatch: pytest.MonkeyPatch,
    vote: Callable[..., Tensor],
    shift: list[int],
) -> None:
    queries, bank, labels = clouds
    seen: list[int] = []

    def note(features: Tensor) -> Tensor:
        seen.append(len(features))
        return features.float()

    monkeypatch.setattr(neighbours, "_finite", note)
    vote(queries, bank, labels, k=3, query_chunk=10, bank_chunk=160)
    assert seen == [*shift, len(queries), 160, 160, 80]


def test_accuracy_is_in_percent() -> None:
    assert accuracy(torch.tensor([1, 2, 3, 4]), torch.tensor([1, 2, 3, 0])) == 75.0
    with pytest.raises(ValueError, match="at least one"):
        accuracy(torch.tensor([]), torch.tensor([]))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"k": 5}, "k is 5, but the bank has 4 images"),
        ({"k": 0}, "k is 0"),
        ({"bank": torch.zeros(0, 3), "labels": torch.zeros(0, dtype=torch.int64)}, "0 bank"),
        ({"queries": torch.zeros(0, 3)}, "0 queries"),
        ({"queries": torch.zeros(2, 4)}, "the same D"),
        ({"labels": None}, "no labels"),
        ({"labels": torch.tensor([0, 1])}, "one integer >= 0 for each"),
        ({"labels": torch.tensor([0, 1, -1, 0])}, "one integer >= 0 for each"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"bank_chunk": 0}, "chunks are"),
        ({"bank": torch.full((4, 3), float("nan"))}, "NaN or infinity"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], named: str) -> None:
    fine = {
        "queries": torch.ones(2, 3),
        "bank": torch.ones(4, 3),
        "labels": torch.tensor([0, 1, 1, 0]),
        "k": 2,
    }
    votes = (weighted_knn,) if "temperature" in changes else (weighted_knn, majority_knn)
    for vote in votes:
        with pytest.raises(ValueError, match=named) as error:
            vote(**{**fine, **changes})
        assert "\n" not in str(error.value)
