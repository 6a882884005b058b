"""A ResNet is told from its tensors."""

from __future__ import annotations

import pytest
import torchvision.models
from mmengine.registry import MODELS
from support.checkpoints import resnet
from torch import Tensor

from mixssl.transfer import ResNetShape, describe, resnet_tensors
from mixssl.utils.errors import ConfigError


def _torchvision(depth: int) -> dict[str, Tensor]:
    model = getattr(torchvision.models, f"resnet{depth}")(weights=None)
    return {k: v for k, v in model.state_dict().items() if not k.startswith("fc.")}


@pytest.mark.parametrize("depth", [18, 34, 50, 101])
def test_a_plain_resnet_has_the_names_and_shapes_of_torchvisions(depth: int) -> None:
    ours, theirs = resnet_tensors(depth), _torchvision(depth)
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
    assert describe(ours) == describe(theirs)
    assert describe(ours).depth == depth and describe(ours).width == 64


def test_another_depth_is_refused() -> None:
    with pytest.raises(ConfigError, match="depth is 20, and ResNets have 18, 34, 50, 101, 152"):
        resnet_tensors(20)


def _backbone(kind: str, **changes: object) -> ResNetShape:
    return describe(MODELS.build(resnet(kind, **changes)).state_dict())


def test_variants_differ_in_words() -> None:
    plain = _backbone("ResNet")
    assert plain == describe(resnet_tensors(18, 16)) and plain.difference(plain) == ""
    stem = "instead of a 7x7 stem"
    assert _backbone("ResNet_CIFAR").difference(plain) == (
        f"a 3x3 stem for small images, without pooling {stem}"
    )
    deep = "a deep stem of three 3x3 convolutions (ResNet-C and -D)"
    assert _backbone("ResNetV1c").difference(plain) == f"{deep} {stem}"
    assert _backbone("ResNetV1d").difference(plain) == (
        f"{deep} {stem}; pooled shortcuts (ResNet-D) instead of plain shortcuts"
    )
    assert _backbone("ResNet", depth=34).difference(plain) == "depth 34 instead of depth 18"
    assert _backbone("ResNet", stem_channels=64, base_channels=64).difference(plain) == (
        "64 base channels instead of 16 base channels"
    )


def test_grouped_and_wide_ones_are_no_resnet_50() -> None:
    wanted = describe(resnet_tensors(50))
    grouped = describe(torchvision.models.resnext50_32x4d(weights=None).state_dict())
    wide = describe(torchvision.models.wide_resnet50_2(weights=None).state_dict())
    assert "convolutions in 32 groups instead of convolutions in 1 groups" in grouped.difference(
        wanted
    )
    assert wide.difference(wanted) == "128 base channels instead of 64 base channels"
    assert describe(resnet_tensors(34)).difference(wanted) == "depth 34 instead of depth 50"


def test_other_networks_are_refused() -> None:
    state = torchvision.models.squeezenet1_1(weights=None).features.state_dict()
    with pytest.raises(ConfigError, match="the backbone is no ResNet \\(it has 0.weight, 0.bias"):
        describe(state)
