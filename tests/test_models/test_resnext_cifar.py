"""ResNeXtCIFAR is a ResNeXt behind the stem of ResNet_CIFAR."""

from __future__ import annotations

import pytest
import torch
from mmpretrain.models import ResNet_CIFAR, ResNeXt
from mmpretrain.registry import MODELS

import mixssl.registry  # noqa: F401  (adds the scope)
from mixssl.models.backbones import ResNeXtCIFAR


def _shapes(model: torch.nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def test_it_has_the_blocks_of_the_one_and_the_stem_of_the_other() -> None:
    ours = _shapes(MODELS.build({"type": "mixssl.ResNeXtCIFAR", "depth": 50}))
    blocks, stem = _shapes(ResNeXt(depth=50)), _shapes(ResNet_CIFAR(depth=50))
    assert ours.pop("conv1.weight") == stem["conv1.weight"] == (64, 3, 3, 3)
    assert blocks.pop("conv1.weight") == (64, 3, 7, 7)
    assert ours == blocks
    assert ours["layer1.0.conv2.weight"] == (128, 4, 3, 3), "32 groups of 4"


def test_its_maps_are_large() -> None:
    model = ResNeXtCIFAR(depth=50, groups=4, stem_channels=8, base_channels=8, out_indices=(2, 3))
    third, fourth = model(torch.zeros(2, 3, 32, 32))
    assert third.shape == (2, 128, 8, 8) and fourth.shape == (2, 256, 4, 4)


def test_a_deep_stem_is_refused() -> None:
    with pytest.raises(AssertionError, match="deep_stem"):
        ResNeXtCIFAR(depth=50, deep_stem=True)
