"""ResNetMedium is a ResNet but for its first convolution."""

from __future__ import annotations

import pytest
import torch
from mmpretrain.models import ResNet
from mmpretrain.registry import MODELS

import mixssl.registry  # noqa: F401  (adds the scope)
from mixssl.models.backbones import ResNetMedium


def test_it_is_a_resnet_with_a_small_first_convolution() -> None:
    model = MODELS.build({"type": "mixssl.ResNetMedium", "depth": 18, "base_channels": 4})
    parent = ResNet(depth=18, base_channels=4)
    assert isinstance(model, ResNetMedium)
    shapes, theirs = (
        {name: tuple(value.shape) for name, value in network.state_dict().items()}
        for network in (model, parent)
    )
    assert shapes.pop("conv1.weight") == (64, 3, 3, 3)
    assert theirs.pop("conv1.weight") == (64, 3, 7, 7)
    assert shapes == theirs


def test_its_map_is_a_sixteenth_of_the_image() -> None:
    model = ResNetMedium(depth=18, stem_channels=4, base_channels=4)
    assert model(torch.zeros(2, 3, 64, 64))[0].shape == (2, 32, 4, 4)


def test_a_deep_stem_is_refused() -> None:
    with pytest.raises(ValueError, match="deep_stem of ResNetMedium is True"):
        ResNetMedium(depth=18, deep_stem=True)
