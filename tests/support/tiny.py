"""Models and batches small enough for a test."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.registry import MODELS as ROOT_MODELS
from support.device import DEVICE
from torch import Tensor, nn

import mixssl.registry  # noqa: F401  (adds the scope)

WIDTH = 4
"""Base channels; the last stage has eight times as many."""
DIM = 8
"""Size of an embedding."""
MIX_HEAD = {"type": "mixssl.UnMixHead"}


def backbone(**changes: Any) -> dict:
    """Config of a ResNet-18 for small images."""
    return {"type": "mmpretrain.ResNet_CIFAR", "depth": 18, "base_channels": WIDTH} | changes


def preprocessor(mixer: dict | None = None, seed: int | None = 0) -> dict:
    """Config of a data preprocessor that leaves pixels as they are."""
    return {"type": "mixssl.InstanceMixDataPreprocessor", "mixer": mixer, "seed": seed}


def moco(type: str = "mixssl.MixMoCo", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a MoCo v2; with a mixer also of Un-Mix's head."""
    cfg = {
        "type": type,
        "backbone": backbone(),
        "neck": {
            "type": "mmpretrain.MoCoV2Neck",
            "in_channels": WIDTH * 8,
            "hid_channels": 16,
            "out_channels": DIM,
        },
        "head": {
            "type": "mmpretrain.ContrastiveHead",
            "loss": {"type": "mmpretrain.CrossEntropyLoss"},
            "temperature": 0.2,
        },
        "queue_len": 64,
        "feat_dim": DIM,
    }
    if type.startswith("mixssl."):
        cfg["data_preprocessor"] = preprocessor(mixer)
    if mixer is not None:
        cfg["mix_head"] = dict(MIX_HEAD)
    return cfg | changes


def build(cfg: dict, seed: int = 0) -> Any:
    """Builds and initialises a model from a seed, in training mode, on the device of the tests."""
    MMLogger.get_current_instance().setLevel("ERROR")  # it lists every initialised parameter
    torch.manual_seed(seed)
    model = ROOT_MODELS.build(cfg)
    model.init_weights()
    return model.to(DEVICE).train()


def views(batch: int = 8, size: int = 16, seed: int = 0, count: int = 2) -> list[Tensor]:
    """Random views, each (N, 3, H, W), on the device of the tests."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(batch, 3, size, size, generator=generator) for _ in range(count)]
    return [view.to(DEVICE) for view in drawn]


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    """An optimizer over what trains."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(trained, lr=lr, momentum=0.9)


def total(losses: dict[str, Tensor]) -> Tensor:
    """Sum of a loss dict."""
    return torch.stack([value.mean() for value in losses.values()]).sum()


def train(model: nn.Module, steps: int, batch: int = 8, size: int = 16) -> list[Tensor]:
    """Takes steps on random views and returns the total losses."""
    optimizer, history = sgd(model), []
    for step in range(steps):
        data = model.data_preprocessor(
            {"inputs": views(batch, size, seed=step), "data_samples": None}, True
        )
        loss = total(model(**data, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.detach())
    return history
