"""Detectron2's names, held to the rules by which its ResNet builds them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from torch import Tensor

from mixssl.transfer import resnet_tensors, to_detectron2

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
NORM = ("weight", "bias", "running_mean", "running_var")


def _convs(depth: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the convolutions, written down from the structure of the network."""
    bottleneck = depth >= 50
    yield "stem.conv1", (64, 3, 7, 7)
    inputs = 64
    for stage, blocks in enumerate(BLOCKS[depth]):
        middle = 64 * 2**stage
        outputs = middle * (4 if bottleneck else 1)
        for block in range(blocks):
            name = f"res{stage + 2}.{block}"
            if inputs != outputs:
                yield f"{name}.shortcut", (outputs, inputs, 1, 1)
            if bottleneck:
                yield f"{name}.conv1", (middle, inputs, 1, 1)
                yield f"{name}.conv2", (middle, middle, 3, 3)
                yield f"{name}.conv3", (outputs, middle, 1, 1)
            else:
                yield f"{name}.conv1", (middle, inputs, 3, 3)
                yield f"{name}.conv2", (middle, middle, 3, 3)
            inputs = outputs


@pytest.mark.parametrize("depth", sorted(BLOCKS))
def test_every_tensor_has_detectron2s_name_and_shape(depth: int) -> None:
    expected = {}
    for name, shape in _convs(depth):
        expected[f"{name}.weight"] = shape
        expected |= {f"{name}.norm.{part}": shape[:1] for part in NORM}
    renamed = to_detectron2(resnet_tensors(depth))
    assert {name: tuple(value.shape) for name, value in renamed.items()} == expected


def test_values_stay_with_their_names() -> None:
    state: dict[str, Tensor] = resnet_tensors(18)
    renamed = to_detectron2(state)
    assert renamed["stem.conv1.norm.bias"] is state["bn1.bias"]
    assert renamed["res5.0.shortcut.weight"] is state["layer4.0.downsample.0.weight"]
    assert renamed["res5.0.shortcut.norm.running_var"] is state["layer4.0.downsample.1.running_var"]
    assert renamed["res3.1.conv2.norm.weight"] is state["layer2.1.bn2.weight"]
