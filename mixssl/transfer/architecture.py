"""What a ResNet is, told from the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from mmpretrain.models.backbones import ResNet, ResNet_CIFAR
from torch import Tensor

from mixssl.utils.errors import ConfigError

__all__ = ["ResNetShape", "describe", "resnet_tensors"]

DEPTHS: dict[tuple[bool, tuple[int, ...]], int] = {
    (False, (2, 2, 2, 2)): 18,
    (False, (3, 4, 6, 3)): 34,
    (True, (3, 4, 6, 3)): 50,
    (True, (3, 4, 23, 3)): 101,
    (True, (3, 8, 36, 3)): 152,
}
"""Depth by whether blocks are bottlenecks, and how many of them the stages have."""
IMAGENET_STEM = "a 7x7 stem"


class ResNetShape(NamedTuple):
    """What must agree before weights can be carried over.

    ``depth`` is None for numbers of blocks that have no name; ``blocks`` counts them by stage. ``width`` is the number
    of channels of the first convolution of the first stage, 64 but in wide and narrow ResNets. ``groups`` are those of
    the 3x3 convolutions of bottlenecks. ``pooled_shortcut`` is ResNet-D's.
    """

    depth: int | None
    blocks: tuple[int, ...]
    width: int
    stem: str
    groups: int
    pooled_shortcut: bool

    def difference(self, other: ResNetShape) -> str:
        """Says in what this one differs from another, in words; empty where it does not."""
        mine, theirs = self._words(), other._words()
        return "; ".join(
            f"{mine[part]} instead of {theirs[part]}" for part in mine if mine[part] != theirs[part]
        )

    def _words(self) -> dict[str, str]:
        blocks = "-".join(map(str, self.blocks))
        return {
            "stem": self.stem,
            "depth": f"depth {self.depth or blocks}",
            "width": f"{self.width} base channels",
            "groups": f"convolutions in {self.groups} groups",
            "shortcut": "pooled shortcuts (ResNet-D)"
            if self.pooled_shortcut
            else "plain shortcuts",
        }


def describe(state: Mapping[str, Tensor]) -> ResNetShape:
    """Tells what ResNet a state dict belongs to.

    Args:
        state: Tensors by torchvision's or mmpretrain's names, without prefix; only names and shapes are looked at.

    Raises:
        ConfigError: The names are not a ResNet's.
    """
    counts: dict[int, int] = {}
    for name in state:
        place = re.match(r"layer(\d+)\.(\d+)\.", name)
        if place:
            stage = int(place[1])
            counts[stage] = max(counts.get(stage, 0), int(place[2]) + 1)
    first = state.get("layer1.0.conv1.weight")
    stem = _stem(state)
    if first is None or stem is None:
        some = ", ".join(list(state)[:3])
        raise ConfigError(
            f"the backbone is no ResNet (it has {some}, ...): only ResNets can be carried over"
        )
    blocks = tuple(counts[stage] for stage in sorted(counts))
    bottleneck = "layer1.0.conv3.weight" in state
    groups = 1
    if bottleneck:
        conv2 = state["layer1.0.conv2.weight"]
        groups = conv2.shape[0] // max(conv2.shape[1], 1)
    return ResNetShape(
        depth=DEPTHS.get((bottleneck, blocks)),
        blocks=blocks,
        width=first.shape[0],
        stem=stem,
        groups=groups,
        pooled_shortcut="layer2.0.downsample.1.weight" in state
        and state["layer2.0.downsample.1.weight"].dim() == 4,
    )


def _stem(state: Mapping[str, Tensor]) -> str | None:
    """A stem in words; None where there is none."""
    if any(name.startswith("stem.") for name in state):
        return "a deep stem of three 3x3 convolutions (ResNet-C and -D)"
    conv = state.get("conv1.weight")
    if conv is None or conv.dim() != 4:
        return None
    size = "x".join(map(str, conv.shape[2:]))
    if size == "7x7":
        return IMAGENET_STEM
    return f"a {size} stem for small images, without pooling"


def resnet_tensors(depth: int, width: int = 64, small_images: bool = False) -> dict[str, Tensor]:
    """Names and shapes of a ResNet, torchvision's without the classifier.

    Args:
        depth: 18, 34, 50, 101 or 152.
        width: Base channels.
        small_images: Whether the stem is a 3x3 convolution without pooling, in place of torchvision's 7x7.

    Returns:
        Tensors, of which only names and shapes mean something.

    Raises:
        ConfigError: A depth that ResNet doesn't have.
    """
    if depth not in DEPTHS.values():
        allowed = ", ".join(map(str, DEPTHS.values()))
        raise ConfigError(f"depth is {depth}, and ResNets have {allowed}: choose one of them")
    kind = ResNet_CIFAR if small_images else ResNet
    return dict(kind(depth=depth, stem_channels=width, base_channels=width).state_dict())
