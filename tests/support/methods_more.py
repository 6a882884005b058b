"""Configs of W-MSE, MoCo v3, SwAV and DenseCL, small enough for a test."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MessageHub
from mmengine.registry import MODELS as ROOT_MODELS
from support.tiny import DIM, MIX_HEAD, WIDTH, backbone, preprocessor


def _finish(cfg: dict, mixer: dict | None, changes: dict) -> dict:
    """Adds what ours have and the parents have not."""
    if cfg["type"].startswith("mixssl."):
        cfg["data_preprocessor"] = preprocessor(mixer)
    if mixer is not None:
        cfg["mix_head"] = dict(MIX_HEAD)
    return cfg | changes


def projector(size: int, out: int = DIM, **changes: Any) -> dict:
    """Config of an MLP with batch normalisation on one device."""
    return {
        "type": "mmpretrain.NonLinearNeck",
        "in_channels": size,
        "hid_channels": 16,
        "out_channels": out,
        "norm_cfg": {"type": "BN1d"},
    } | changes


def wmse(type: str = "mixssl.MixWMSE", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a W-MSE whose groups of 8 rows fit embeddings of 4."""
    cfg = {
        "type": type,
        "backbone": backbone(),
        "neck": projector(WIDTH * 8, 4, with_last_bn=False, with_last_bias=True),
        "w_size": 8,
        "seed": 0,
    }
    return _finish(cfg, mixer, changes)


def mocov3(type: str = "mixssl.MixMoCoV3", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a MoCo v3 with a ResNet; its momentum needs :func:`run_length`."""
    cfg = {
        "type": type,
        "backbone": backbone(),
        "neck": projector(WIDTH * 8, with_last_bn_affine=False),
        "head": {
            "type": "mmpretrain.MoCoV3Head",
            "predictor": projector(DIM, with_last_bn_affine=False, with_avg_pool=False),
            "loss": {"type": "mmpretrain.CrossEntropyLoss", "loss_weight": 0.4},
            "temperature": 0.2,
        },
    }
    return _finish(cfg, mixer, changes)


def mocov3_vit(type: str = "mixssl.MixMoCoV3", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a MoCo v3 with a small vision transformer, for images of 16 pixels."""
    neck = projector(16, with_avg_pool=False, with_last_bn_affine=False)
    return mocov3(type, mixer, **({"backbone": vit(), "neck": neck} | changes))


def vit() -> dict:
    """Config of a small vision transformer for images of 16 pixels."""
    return {
        "type": "mmpretrain.MoCoV3ViT",
        "arch": {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32},
        "img_size": 16,
        "patch_size": 4,
        "stop_grad_conv1": True,
    }


def swav(type: str = "mixssl.MixSwAV", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a SwAV with two crops and 12 prototypes; ``num_crops`` for more."""
    num_crops = changes.pop("num_crops", [2])
    cfg = {
        "type": type,
        "backbone": backbone(),
        "neck": {
            "type": "mmpretrain.SwAVNeck",
            "in_channels": WIDTH * 8,
            "hid_channels": 16,
            "out_channels": DIM,
            "norm_cfg": {"type": "BN1d"},
        },
        "head": {
            "type": "mmpretrain.SwAVHead",
            "loss": {
                "type": "mmpretrain.SwAVLoss",
                "feat_dim": DIM,
                "num_crops": num_crops,
                "num_prototypes": 12,
            },
        },
    }
    return _finish(cfg, mixer, changes)


def densecl(type: str = "mixssl.MixDenseCL", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a DenseCL whose maps have four places for images of 16 pixels."""
    cfg = {
        "type": type,
        "backbone": backbone(),
        "neck": {
            "type": "mmpretrain.DenseCLNeck",
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
    return _finish(cfg, mixer, changes)


def dino(type: str = "mixssl.MixDINO", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a DINO with a ResNet; its momentum needs :func:`run_length`."""
    cfg = {"type": type, "backbone": backbone(), "neck": dino_neck(WIDTH * 8)}
    return _finish(cfg, mixer, changes)


def dino_vit(type: str = "mixssl.MixDINO", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a DINO with a small vision transformer, for images of 16 pixels."""
    return dino(type, mixer, backbone=dict(vit()), neck=dino_neck(16), **changes)


def dino_neck(size: int) -> dict:
    """Config of a head with 12 prototypes."""
    small = {"hid_channels": 16, "bottleneck": DIM, "out_dim": 12}
    return {"type": "mixssl.DINONeck", "in_channels": size} | small


@cache
def teacher_file() -> str:
    """Weights of half a ResNet-18 with DIM channels at its end, the same in every process."""
    generator = torch.Generator().manual_seed(7)
    network = ROOT_MODELS.build(teacher()["backbone"])
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            spread = 0.3 if value.ndim > 1 else 0.05
            value.copy_(torch.randn(value.shape, generator=generator) * spread)
            value.add_(1.0 if name.endswith(("var", "weight")) and value.ndim == 1 else 0.0)
    path = Path(tempfile.mkdtemp()) / "teacher.pth"
    torch.save({"state_dict": network.state_dict()}, path)
    return str(path)


def teacher(**changes: Any) -> dict:
    """Arguments of a teacher with features of DIM numbers."""
    halved = {"num_stages": 2, "strides": (1, 2), "dilations": (1, 1), "out_indices": (1,)}
    return {"backbone": backbone(**halved)} | changes


def distill(type: str = "mixssl.MixDistill", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a distillation, of whole images and of places; a mixture has the head of Un-Mix."""
    cfg = {
        "type": type,
        "backbone": backbone(),
        "neck": {
            "type": "mixssl.DistillNeck",
            "in_channels": WIDTH * 8,
            "out_channels": DIM,
        },
        "teacher": teacher(checkpoint=teacher_file()),
        "queue_len": 64,
    }
    return _finish(cfg, mixer, changes)


@contextmanager
def run_length(steps: int = 100) -> Iterator[None]:
    """Tells momentum schedules how long the run is, as a Runner does, and takes it back."""
    info = MessageHub.get_current_instance()._runtime_info
    before = info.get("max_iters")
    info["max_iters"] = steps
    try:
        yield
    finally:
        info.pop("max_iters") if before is None else info.update(max_iters=before)


METHODS: dict[str, Callable[..., dict]] = {
    "MixDINO": dino,
    "MixDenseCL": densecl,
    "MixDistill": distill,
    "MixMoCoV3": mocov3,
    "MixSwAV": swav,
    "MixWMSE": wmse,
}
"""By the name a method is registered under: a function of (type, mixer, **changes) that gives its config."""
