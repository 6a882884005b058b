"""A picture of stages shows the same mixtures as each stage rendered them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mixssl.mixing import mask_blend
from mixssl.structures import MixedView
from mixssl.visualization import figure_pixels, stages_figure


@pytest.fixture
def views() -> list[Tensor]:
    return [torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255]


def _rendered(views: list[Tensor], weight: float) -> MixedView:
    index = torch.arange(4)
    mask = torch.full((4, 1, 8, 8), weight)
    mask[..., :4] = 1
    mixed = mask_blend(views[0], views[0].flip(0), mask)
    lam = torch.tensor([0.1, 0.2, 0.3, 0.4])
    return MixedView(mixed, 0, 0, index, index.flip(0), lam, mask, learned="encoder")


def test_each_stage_shows_its_mask_over_its_mixture(views: list[Tensor]) -> None:
    stages = {f"epoch_{i}": [_rendered(views, i / 4)] * 2 for i in (1, 2, 3)}
    figure = stages_figure(views, stages, title="masks")
    axes = np.array(figure.axes).reshape(4, 4)  # two mixtures, two lines each
    shown = [[np.asarray(axis.images[0].get_array()) for axis in line] for line in axes]
    labels = [[axis.get_xlabel() for axis in line] for line in axes]
    for number, lam in enumerate((0.1, 0.2)):
        top, bottom = shown[2 * number], shown[2 * number + 1]
        row = number
        images = (views[0] / 255).permute(0, 2, 3, 1)
        np.testing.assert_allclose(top[0], images[row], atol=1e-6)
        np.testing.assert_allclose(bottom[0], images[3 - row], atol=1e-6)
        assert labels[2 * number][0] == f"λ = {lam:.2f}"
        for column, mixtures in enumerate(stages.values(), start=1):
            np.testing.assert_allclose(top[column], mixtures[number].mask[row, 0])
            mixed = (mixtures[number].images[row] / 255).permute(1, 2, 0)
            np.testing.assert_allclose(bottom[column], mixed, atol=1e-6)
            assert labels[2 * number][column] == f"mean {(4 + column) / 8:.2f}"
    assert axes[0, 2].get_title().startswith("epoch_2")
    assert figure_pixels(figure).shape[1] == 1200


def test_what_cannot_be_drawn(views: list[Tensor]) -> None:
    mixture = _rendered(views, 0.5)
    with pytest.raises(ValueError, match="stages is empty"):
        stages_figure(views, {})
    with pytest.raises(ValueError, match="mixtures is empty"):
        stages_figure(views, {"a": []})
    with pytest.raises(ValueError, match="the stages have 1, 2 mixtures"):
        stages_figure(views, {"a": [mixture], "b": [mixture] * 2})
    with pytest.raises(ValueError, match="no pixels yet"):
        stages_figure(views, {"a": [mixture._replace(images=None)]})
