"""t-SNE: a panel per set of features, the same for the same seed."""

import numpy as np
import pytest
import torch

from mixssl.visualization import tsne_figure
from mixssl.visualization.style import look


@pytest.fixture(scope="module")
def labels() -> torch.Tensor:
    return torch.arange(30) % 3


@pytest.fixture(scope="module")
def features(labels: torch.Tensor) -> torch.Tensor:
    """Three directions with a little noise."""
    generator = torch.Generator().manual_seed(0)
    return torch.eye(3)[labels].repeat(1, 2) + 0.01 * torch.randn(30, 6, generator=generator)


def _points(figure, panel: int = 0) -> np.ndarray:
    return np.concatenate([dots.get_offsets() for dots in figure.axes[panel].collections])


def test_panels_names_and_legend(features: torch.Tensor, labels: torch.Tensor) -> None:
    figure = tsne_figure({"a": features, "b": -features}, labels, ["x", "y", "z"], title="all")
    assert [axes.get_title() for axes in figure.axes] == ["a", "b"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["x", "y", "z"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["x", "y", "z"]
    assert len(_points(figure)) == 30


def test_same_seed_same_picture_whatever_the_length_of_features(
    features: torch.Tensor, labels: torch.Tensor
) -> None:
    first, again = (_points(tsne_figure({"a": features}, labels, seed=1)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    longer = _points(tsne_figure({"a": 2 * features}, labels, seed=1))
    np.testing.assert_allclose(first, longer, atol=1e-3)


def test_classes_that_differ_lie_apart(features: torch.Tensor, labels: torch.Tensor) -> None:
    groups = [
        dots.get_offsets() for dots in tsne_figure({"a": features}, labels).axes[0].collections
    ]
    centres = np.array([group.mean(0) for group in groups])
    spread = max(np.linalg.norm(group - group.mean(0), axis=1).max() for group in groups)
    assert min(np.linalg.norm(centres[i] - centres[i - 1]) for i in range(3)) > 2 * spread


def test_a_hundred_classes_look_different() -> None:
    assert len({look(number) for number in range(100)}) == 100


def test_numbers_that_do_not_fit(features: torch.Tensor, labels: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="features_by_name is empty"):
        tsne_figure({}, labels)
    with pytest.raises(ValueError, match="a has 29 features and there are 30 labels"):
        tsne_figure({"a": features[1:]}, labels)
