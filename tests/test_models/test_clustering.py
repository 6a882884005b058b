"""Nearest centroids, means, first occurrences and splits, against what one writes down by hand."""

from __future__ import annotations

import pytest
import torch

from mixssl.models.memory import clustering
from mixssl.models.memory.late_flag import LateFlag


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_nearest_is_by_distance_not_by_inner_product() -> None:
    centroids = torch.tensor([[1.0, 0.0], [0.2, 0.1]])
    features = torch.tensor([[0.3, 0.0], [0.9, 0.1]])
    assert (features @ centroids.t()).argmax(dim=1).tolist() == [0, 0]
    assert clustering.nearest(features, centroids).tolist() == [1, 0]


def test_nearest_is_the_least_distance() -> None:
    features, centroids = (torch.randn(n, 5, generator=_generator(n)) for n in (40, 7))
    expected = torch.cdist(features, centroids).argmin(dim=1)
    assert torch.equal(clustering.nearest(features, centroids), expected)
    allowed = torch.tensor([True, False, True, True, False, False, True])
    chosen = torch.tensor([0, 2, 3, 6])
    expected = chosen[torch.cdist(features, centroids[chosen]).argmin(dim=1)]
    assert torch.equal(clustering.nearest(features, centroids, allowed), expected)


def test_the_first_of_equally_near_centroids_is_taken() -> None:
    assert clustering.nearest(torch.zeros(2, 3), torch.ones(4, 3)).tolist() == [0, 0]


@pytest.mark.parametrize("chunk", [3, 1000])
def test_means_and_sizes(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clustering, "CHUNK", chunk)
    features = torch.randn(20, 3, generator=_generator())
    labels = torch.randint(0, 4, (20,), generator=_generator(1))
    fallback = torch.full((6, 3), 7.0)
    means = clustering.cluster_means(features, labels, fallback)
    for cluster in range(4):
        assert torch.allclose(means[cluster], features[labels == cluster].mean(dim=0), atol=1e-6)
    assert torch.equal(means[4:], fallback[4:])
    assert torch.equal(clustering.cluster_sizes(labels, 6), labels.bincount(minlength=6))


def test_first_occurrences() -> None:
    first, is_first = clustering.first_of_each(torch.tensor([5, 3, 5, 9, 3, 5, 0]))
    assert first.tolist() == [0, 1, 0, 3, 1, 0, 6]
    assert is_first.tolist() == [True, True, False, True, False, False, True]


def test_two_groups_are_found() -> None:
    groups = torch.cat([torch.zeros(30, 2), torch.tensor([4.0, 1.0]).expand(12, 2)])
    features = groups + 0.1 * torch.randn(42, 2, generator=_generator())
    for seed in range(4):
        second = clustering.two_means(features, 5, _generator(seed))
        assert second[:30].unique().numel() == second[30:].unique().numel() == 1
        assert second[0] != second[-1]
    again = clustering.two_means(features, 5, _generator(3))
    assert torch.equal(second, again)


@pytest.mark.parametrize("smallest", [1, 7, 10])
def test_no_part_is_too_small(smallest: int) -> None:
    lonely = torch.zeros(20, 2)
    lonely[7] = 100.0
    for features in (lonely, torch.ones(20, 2)):
        for seed in range(5):
            second = clustering.two_means(features, smallest, _generator(seed))
            assert smallest <= int(second.sum()) <= 20 - smallest


def test_a_late_flag_keeps_the_value_it_was_made_of() -> None:
    sizes = torch.tensor([3, 1])
    small, large = LateFlag((sizes < 2).any()), LateFlag((sizes > 5).any())
    sizes.fill_(9)
    assert small.read() is True and large.read() is False and small.read() is True
