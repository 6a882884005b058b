"""What a ResNet is, told from the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from mmpretrain.models.backbones import ResNet, ResNet_CIFAR
from torch import Tensor

from mixssl.utils.errors import ConfigError

DEPTHS = {
    (kind.__name__ == "Bottleneck", blocks): depth
    for depth, (kind, blocks) in ResNet.arch_settings.items()
}
"""Depth by whether blocks are bottlenecks, and how many of them the stages have."""


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
        pairs = zip(self._words(), other._words(), strict=True)
        return "; ".join(f"{mine} instead of {theirs}" for mine, theirs in pairs if mine != theirs)

    def _words(self) -> list[str]:
        return [
            self.stem,
            f"depth {self.depth or '-'.join(map(str, self.blocks))}",
            f"{self.width} base channels",
            f"convolutions in {self.groups} groups",
            "pooled shortcuts (ResNet-D)" if self.pooled_shortcut else "plain shortcuts",
        ]


def describe(state: Mapping[str, Tensor]) -> ResNetShape:
    """Tells what ResNet a state dict belongs to.

    Args:
        state: Tensors by torchvision's or mmpretrain's names, without prefix; only names and shapes are looked at.

    Raises:
        ConfigError: The names are not a ResNet's.
    """
    first, conv, stem = state.get("layer1.0.conv1.weight"), state.get("conv1.weight"), None
    if any(name.startswith("stem.") for name in state):
        stem = "a deep stem of three 3x3 convolutions (ResNet-C and -D)"
    elif conv is not None and conv.dim() == 4:
        size = "x".join(map(str, conv.shape[2:]))
        stem = "a 7x7 stem" if size == "7x7" else f"a {size} stem for small images, without pooling"
    if first is None or stem is None:
        some = ", ".join(list(state)[:3])
        raise ConfigError(
            f"the backbone is no ResNet (it has {some}, ...): only ResNets can be carried over"
        )
    places = {
        place[0]: place[1] for place in map(re.compile(r"(layer\d+)\.\d+\.").match, state) if place
    }
    blocks = tuple(count for _, count in sorted(Counter(places.values()).items()))
    bottleneck = "layer1.0.conv3.weight" in state
    conv2, shortcut = (
        state.get(f"{name}.weight") for name in ("layer1.0.conv2", "layer2.0.downsample.1")
    )
    return ResNetShape(
        depth=DEPTHS.get((bottleneck, blocks)),
        blocks=blocks,
        width=first.shape[0],
        stem=stem,
        groups=conv2.shape[0] // conv2.shape[1] if bottleneck and conv2 is not None else 1,
        pooled_shortcut=shortcut is not None and shortcut.dim() == 4,
    )


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
    if depth not in ResNet.arch_settings:
        allowed = ", ".join(map(str, ResNet.arch_settings))
        raise ConfigError(f"depth is {depth}, and ResNets have {allowed}: choose one of them")
    kind = ResNet_CIFAR if small_images else ResNet
    return dict(kind(depth=depth, stem_channels=width, base_channels=width).state_dict())
