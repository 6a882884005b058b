"""What other libraries call a ResNet's tensors.

mmpretrain, mmdet, torchvision and timm agree on plain ResNets; a C4 detector only holds ``layer4`` elsewhere.
Detectron2 has names of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

__all__ = ["COUNTER", "LAYOUTS", "to_detectron2"]

LAYOUTS = ("mmdet", "torchvision", "timm", "detectron2")
COUNTER = "num_batches_tracked"
"""Buffer that counts batches; of no use without momentum=None, and unknown to Detectron2."""

Value = TypeVar("Value")
DETECTRON2 = (
    (r"^conv1\.", "stem.conv1."),
    (r"^bn1\.", "stem.conv1.norm."),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"\.bn(\d)\.", r".conv\1.norm."),
)


def to_detectron2(state: Mapping[str, Value]) -> dict[str, Value]:
    """Renames a ResNet's tensors for Detectron2.

    Stages are ``res2`` to ``res5`` there, a norm belongs to its convolution, a projection is a ``shortcut``. The
    detector needs ``MODEL.RESNETS.STRIDE_IN_1X1 False`` and the pre-training's PIXEL_MEAN, PIXEL_STD and FORMAT.

    Args:
        state: By torchvision's names, without classifier.

    Returns:
        The same values by Detectron2's names, without the counters of batches.
    """
    renamed = {}
    for name, value in state.items():
        if name.endswith(COUNTER):
            continue
        for pattern, replacement in DETECTRON2:
            name = re.sub(pattern, replacement, name)
        name = re.sub(r"^layer(\d)\.", lambda stage: f"res{int(stage[1]) + 1}.", name)
        renamed[name] = value
    return renamed
