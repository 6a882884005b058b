"""Checkpoints as training writes them, of models small enough for a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.logging import HistoryBuffer
from support.tiny import build, moco
from torch import Tensor, nn

WIDTH = 16
CONFIG = """
model = dict(
    backbone=dict(type='{kind}', depth={depth}, base_channels=16, stem_channels=16))
data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
mixer = __import__('os').system('touch ran')
"""


def resnet(kind: str = "ResNet", **changes: Any) -> dict:
    """Config of a narrow ResNet-18 with the stem of its kind."""
    cfg = {"type": f"mmpretrain.{kind}", "depth": 18, "base_channels": WIDTH}
    return cfg | {"stem_channels": WIDTH} | changes


def spread(model: nn.Module, seed: int = 0) -> None:
    """Gives every norm its own statistics and weights, so that no two layers can be confused."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                for tensor, low in (
                    (module.running_mean, -0.2),
                    (module.running_var, 0.5),
                    (module.weight, 0.5),
                    (module.bias, -0.2),
                ):
                    assert isinstance(tensor, Tensor)
                    tensor.copy_(low + torch.rand(tensor.shape, generator=generator))


def pretraining(path: Path, depth: int = 18, **changes: Any) -> nn.Module:
    """Writes a MoCo's checkpoint as mmengine does, log buffers and all.

    Returns:
        The model.
    """
    neck = {
        "type": "mmpretrain.MoCoV2Neck",
        "in_channels": 8 * WIDTH * (4 if depth >= 50 else 1),
        "hid_channels": 16,
        "out_channels": 8,
    }
    model = build(moco(backbone=resnet(depth=depth, **changes), neck=neck))
    spread(model)
    meta = {"epoch": 3, "iter": 30, "cfg": CONFIG.format(depth=depth, kind="ResNet")}
    history = HistoryBuffer([1.0, 0.5], [1, 1])
    content = {"meta": meta, "state_dict": model.state_dict(), "message_hub": {"loss": history}}
    torch.save(content, path)
    return model
