"""Cluster indices, alignment and uniformity, by hand and against plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from mixssl.evaluation import alignment, cluster_indices, uniformity


def test_cluster_indices_by_hand() -> None:
    # Two classes on a line, each of two points at distance 2, centres 10 apart.
    x = torch.tensor([[-1.0], [1.0], [9.0], [11.0]])
    found = cluster_indices(x, torch.tensor([0, 0, 1, 1]))
    assert found.davies_bouldin == pytest.approx((1 + 1) / 10)
    # Between: 4 * 5² / 1; within: 4 * 1² / 2.
    assert found.calinski_harabasz == pytest.approx(100 / 2)


@pytest.mark.parametrize(
    ("labels", "named"),
    [
        (None, "labels None"),
        (torch.zeros(4, dtype=torch.int64), "1 classes"),
        (torch.arange(4), "4 classes among 4"),
        (torch.arange(3), "must be"),
    ],
)
def test_labels_that_are_no_clusters(labels: torch.Tensor | None, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        cluster_indices(torch.rand(4, 2), labels)


def test_alignment_by_hand() -> None:
    # A right angle: squared distance 2 on the unit sphere, whatever the lengths; the same direction: 0.
    first = torch.tensor([[3.0, 0.0], [0.0, 5.0]])
    second = torch.tensor([[0.0, 0.1], [0.0, 1.0]])
    assert alignment(first, second) == pytest.approx((2 + 0) / 2)
    assert alignment(first, second, power=1.0) == pytest.approx(math.sqrt(2) / 2)
    assert alignment(first, first) == 0


def test_uniformity_is_the_papers() -> None:
    x = torch.randn(2100, 3, generator=torch.Generator().manual_seed(0))
    unit = torch.nn.functional.normalize(x.double())
    expected = torch.pdist(unit).pow(2).mul(-2).exp().mean().log().item()
    kept = x.clone()
    assert uniformity(x) == pytest.approx(expected, abs=1e-9)
    assert x.equal(kept)


def test_uniformity_at_its_limits() -> None:
    assert uniformity(torch.ones(5, 3)) == pytest.approx(0)
    opposite = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    assert uniformity(opposite) == pytest.approx(-2 * 4)
    assert uniformity(opposite, sharpness=1e4) < -600


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: alignment(torch.ones(2, 3), torch.ones(3, 3)), "two [(]N, D[)]"),
        (lambda: alignment(torch.ones(2, 3), torch.ones(2, 3), 0.0), "power 0.0"),
        (lambda: uniformity(torch.ones(1, 3)), "N >= 2"),
        (lambda: uniformity(torch.ones(2, 3), -1.0), "sharpness -1.0"),
    ],
)
def test_bad_input_is_named(call: object, named: str) -> None:
    with pytest.raises(ValueError, match=named) as error:
        call()  # type: ignore[operator]
    assert "\n" not in str(error.value)
