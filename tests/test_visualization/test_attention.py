"""Attention maps beside their images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixssl.visualization import attention_figure


def test_images_and_maps_are_where_the_headings_say() -> None:
    images = torch.rand(3, 3, 8, 8) * 255
    one, two = torch.rand(3, 8, 8), torch.rand(3, 8, 8)
    figure = attention_figure(images, {"one": one, "two": two}, title="t")
    axes = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in axes[:6]] == ["image", "one", "two"] * 2
    for number in range(3):
        first, left, right = axes[3 * number : 3 * number + 3]
        np.testing.assert_allclose(
            first.images[0].get_array(), (images[number] / 255).permute(1, 2, 0), atol=1e-6
        )
        np.testing.assert_allclose(left.images[1].get_array(), one[number])
        np.testing.assert_allclose(right.images[1].get_array(), two[number])


def test_normalisation_is_undone() -> None:
    image = torch.tensor([100.0, 50.0, 200.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    mean, std = [120.0, 110.0, 100.0], [50.0, 60.0, 70.0]
    normal = (image - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    figure = attention_figure(normal, {"one": torch.zeros(1, 4, 4)}, mean, std)
    np.testing.assert_allclose(
        figure.axes[0].images[0].get_array()[0, 0], [100 / 255, 50 / 255, 200 / 255], atol=1e-5
    )


@pytest.mark.parametrize(
    ("images", "maps", "named"),
    [
        (torch.zeros(0, 3, 4, 4), {"a": torch.zeros(0, 4, 4)}, "at least one of both"),
        (torch.zeros(1, 3, 4, 4), {}, "at least one of both"),
        (torch.zeros(1, 3, 4, 4), {"a": torch.zeros(2, 4, 4)}, "of the same images"),
    ],
)
def test_bad_input_is_named(images: torch.Tensor, maps: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        attention_figure(images, maps)
