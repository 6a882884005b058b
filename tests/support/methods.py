"""Configs of SimCLR, BYOL, SimSiam and Barlow Twins, small enough for a test; MoCo's is in tiny.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.methods_more import projector
from support.tiny import DIM, MIX_HEAD, WIDTH, backbone, moco, preprocessor


def _config(type: str, mixer: dict | None, neck: dict, head: dict, changes: dict) -> dict:
    cfg: dict[str, Any] = {"type": type, "backbone": backbone(), "neck": neck, "head": head}
    if type.startswith("mixssl."):
        cfg["data_preprocessor"] = preprocessor(mixer)
    if mixer is not None:
        cfg["mix_head"] = dict(MIX_HEAD)
    return cfg | changes


def _predict_head() -> dict:
    return {
        "type": "mmpretrain.LatentPredictHead",
        "predictor": projector(DIM, with_last_bn=False, with_last_bias=True, with_avg_pool=False),
        "loss": {"type": "mmpretrain.CosineSimilarityLoss"},
    }


def simclr(type: str = "mixssl.MixSimCLR", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a SimCLR; with a mixer also of Un-Mix's head."""
    head = {
        "type": "mmpretrain.ContrastiveHead",
        "loss": {"type": "mmpretrain.CrossEntropyLoss"},
        "temperature": 0.2,
    }
    return _config(type, mixer, projector(WIDTH * 8), head, changes)


def byol(type: str = "mixssl.MixBYOL", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a BYOL; its momentum needs :func:`support.methods_more.run_length`."""
    neck = projector(WIDTH * 8, with_bias=True, with_last_bn=False)
    return _config(type, mixer, neck, _predict_head(), {"base_momentum": 0.05} | changes)


def simsiam(type: str = "mixssl.MixSimSiam", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a SimSiam."""
    neck = projector(WIDTH * 8, num_layers=3, with_last_bn_affine=False)
    return _config(type, mixer, neck, _predict_head(), changes)


def barlowtwins(
    type: str = "mixssl.MixBarlowTwins", mixer: dict | None = None, **changes: Any
) -> dict:
    """Config of a Barlow Twins."""
    neck = projector(WIDTH * 8, num_layers=3, with_last_bn=False)
    head = {
        "type": "mmpretrain.LatentCrossCorrelationHead",
        "in_channels": DIM,
        "loss": {"type": "mmpretrain.CrossCorrelationLoss"},
    }
    return _config(type, mixer, neck, head, changes)


def vicreg(type: str = "mixssl.MixVICReg", mixer: dict | None = None, **changes: Any) -> dict:
    """Config of a VICReg."""
    cfg = _config(type, mixer, projector(WIDTH * 8, num_layers=3, with_last_bn=False), {}, changes)
    return {key: value for key, value in cfg.items() if key != "head"}


METHODS: dict[str, Callable[..., dict]] = {
    "MixBYOL": byol,
    "MixBarlowTwins": barlowtwins,
    "MixMoCo": moco,
    "MixSimCLR": simclr,
    "MixSimSiam": simsiam,
    "MixVICReg": vicreg,
}
"""By the name a method is registered under: a function of (type, mixer, **changes) that gives its config."""
