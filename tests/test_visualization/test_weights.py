"""Weight distributions: numbers by hand, panels counted."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from mixssl.visualization import convolutions, weight_numbers, weights_figure


def layers(scale: float = 1.0, number: int = 8) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {f"conv{i}": scale * torch.randn(6, 5, 3, 3, generator=generator) for i in range(number)}


def test_convolutions_alone_are_taken_in_order() -> None:
    state = {
        "conv1.weight": torch.zeros(2, 3, 3, 3),
        "bn1.weight": torch.zeros(2),
        "fc.weight": torch.zeros(4, 2),
        "layer1.conv.weight": torch.zeros(2, 2, 1, 1),
        "mask": torch.zeros(1, 1, 2, 2),
    }
    assert list(convolutions(state)) == ["conv1", "layer1.conv"]


def test_numbers_by_hand() -> None:
    one = torch.tensor([-1.0, 1.0, -1.0, 1.0]).view(4, 1, 1, 1)  # std 1, so 0.1 is close to zero
    two = torch.tensor([0.05, -0.05, 2.0, -2.0]).view(4, 1, 1, 1)
    found = weight_numbers({"a": {"conv": one}, "b": {"conv": two}})["conv"]
    assert found["a"] == pytest.approx(
        {"std": 1, "min": -1, "max": 1, "kurtosis": 1, "near_zero": 0}
    )
    assert found["b"]["near_zero"] == 50
    assert found["b"]["std"] == pytest.approx(math.sqrt((2 * 0.0025 + 8) / 4))


def test_a_panel_for_each_layer_with_each_model() -> None:
    figure = weights_figure({"one": layers(), "two": layers(2.0)}, title="t")
    used = [axis for axis in figure.axes if axis.axison]
    assert [axis.get_title() for axis in used] == [f"{i + 1}: conv{i}" for i in range(8)]
    low, high = used[0].get_xlim()
    assert low < -2 and high > 2  # the wider of the two fits
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]


def test_layers_can_be_chosen() -> None:
    figure = weights_figure({"one": layers()}, [8, 1])
    assert [axis.get_title() for axis in figure.axes] == ["8: conv7", "1: conv0"]


def test_equal_weights_can_be_drawn() -> None:
    figure = weights_figure({"one": {"conv": torch.zeros(2, 2, 3, 3)}})
    (panel,) = (axis for axis in figure.axes if axis.axison)
    low, high = panel.get_xlim()
    assert low < 0 < high


@pytest.mark.parametrize(
    ("models", "numbers", "named"),
    [
        ({}, None, "no convolution"),
        ({"a": {}}, None, "no convolution"),
        (
            {"a": layers(), "b": layers(number=7)},
            None,
            "b differs from the first model in its convolutions: 1 missing [(]conv7[)]",
        ),
        ({"a": layers()}, [9], "there are 8 convolutions"),
        ({"a": layers()}, [0], "counted from 1"),
    ],
)
def test_bad_input_is_named(models: dict, numbers: list[int] | None, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        weights_figure(models, numbers)
