"""t-SNE: the same points for the same seed, and a panel for each set of them."""

import numpy as np
import pytest
import torch

from mixssl.utils.errors import ConfigError
from mixssl.visualization import embed, points_figure
from mixssl.visualization.style import look


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    return torch.arange(30) % 3


@pytest.fixture(scope="module")
def features(labels: torch.Tensor) -> torch.Tensor:
    """Three directions with a little noise."""
    generator = torch.Generator().manual_seed(0)
    return torch.eye(3)[labels].repeat(1, 2) + 0.01 * torch.randn(30, 6, generator=generator)


def test_panels_names_and_legend(features: torch.Tensor, labels: torch.Tensor) -> None:
    points = {"a": features[:, :2], "b": -features[:, :2]}
    figure = points_figure(points, labels, ["x", "y", "z"], title="all")
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["x", "y", "z"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y", "z"]
    for panel, wanted in zip(figure.axes, points.values(), strict=True):
        for number, dots in enumerate(panel.collections):
            np.testing.assert_allclose(dots.get_offsets(), wanted[labels == number])


def test_same_seed_same_points_whatever_the_length_of_features(features: torch.Tensor) -> None:
    first, again = (embed(features, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, embed(2 * features, seed=1), atol=1e-3)


def test_classes_that_differ_lie_apart(features: torch.Tensor, labels: torch.Tensor) -> None:
    points = embed(features)
    groups = [points[labels == kind] for kind in range(3)]
    centres = [group.mean(0) for group in groups]
    spread = max((group - group.mean(0)).norm(dim=1).max() for group in groups)
    assert min((centres[i] - centres[i - 1]).norm() for i in range(3)) > 2 * spread


def test_a_hundred_classes_look_different() -> None:
    assert len({look(number) for number in range(100)}) == 100


def test_too_few_features(features: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match="there are 3 features, and t-SNE needs at least 4"):
        embed(features[:3])
