"""Configs of W-MSE, MoCo v3, SwAV and DenseCL, small enough for a test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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


METHODS: dict[str, Callable[..., dict]] = {"MixWMSE": wmse}
"""By the name a method is registered under: a function of (type, mixer, **changes) that gives its config."""
