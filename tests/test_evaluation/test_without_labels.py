"""Monitors without labels: values worked out by hand, and features that have collapsed."""

from __future__ import annotations

import pytest
import torch

from mixssl.engine.hooks.label_free_monitor_hook import figures_of, verdict
from mixssl.evaluation import feature_std, lidar, rank_me

VIEWS = torch.tensor(
    [
        [[1, 0], [1, 0.2]],
        [[-1, 0], [-1, -0.2]],
        [[0, 1], [0.2, 1]],
        [[0, -1], [0, -1.2]],
    ]
)


@pytest.mark.parametrize(
    ("features", "epsilon", "expected"),
    [
        (torch.diag(torch.tensor([3.0, 1.0])), 1e-7, 1.754765),
        (torch.diag(torch.tensor([3.0, 1.0])), 1e-5, 1.754760),
        (torch.eye(4), 1e-7, 4.0),
        (torch.ones(4, 3), 1e-7, 1.000004),
        (torch.tensor([[1.0, 2], [3, 0], [2, 5], [0, 1]]), 1e-7, 1.862044),
        (torch.zeros(4, 3), 1e-7, 0.0),
    ],
)
def test_rank_me(features: torch.Tensor, epsilon: float, expected: float) -> None:
    assert rank_me(features, epsilon) == pytest.approx(expected, abs=5e-6)


def test_lidar() -> None:
    assert lidar(VIEWS) == pytest.approx(1.780765, abs=5e-6)
    assert lidar(VIEWS, delta=0.1) == pytest.approx(1.979530, abs=5e-6)
    line = torch.tensor([[[x, 0.0], [x, 0.2]] for x in (1.0, 2.0, 3.0)])
    assert lidar(line) == pytest.approx(1.0, abs=1e-4)
    assert lidar(torch.ones(6, 3, 4)) == 0.0


def test_feature_std() -> None:
    assert feature_std(torch.tensor([[3.0, 4], [0, 2], [-1, 0]])) == pytest.approx(
        0.668720, abs=5e-7
    )
    assert feature_std(torch.ones(5, 3)) == pytest.approx(0, abs=1e-12)


def test_shapes_are_checked() -> None:
    for call in (
        lambda: rank_me(torch.zeros(0, 3)),
        lambda: lidar(torch.zeros(1, 2, 3)),
        lambda: feature_std(torch.zeros(1, 3)),
    ):
        with pytest.raises(ValueError, match=r"must be \(N"):
            call()


def test_a_collapse_is_said_in_words() -> None:
    generator = torch.Generator().manual_seed(0)
    spread = torch.randn(64, 16, generator=generator)
    views = spread[:, None] + 0.1 * torch.randn(64, 4, 16, generator=generator)
    fine = figures_of(spread, views)
    assert verdict(fine) == "" and fine["feature_std"] == pytest.approx(1, abs=0.05)
    point = torch.ones(64, 16) + 1e-4 * spread
    assert "nearly the same" in verdict(figures_of(point, None))
    line = spread[:, :1] * torch.ones(16)
    assert verdict(figures_of(line, line[:, None] + 0.01 * views)).startswith("they use 1.")
