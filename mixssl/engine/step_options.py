"""Options of a config that change how a training step is computed, and not what is trained: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from torch import nn

from mixssl.models.encoder_options import (
    checkpoint_backbone,
    compile_encoders,
    use_channels_last,
)
from mixssl.utils.errors import ConfigError

__all__ = ["OF_MODEL", "apply_model_options", "apply_step_options"]

OF_MODEL = ("channels_last", "checkpoint_backbone", "compile_encoders")
"""Options that are carried out once the model is built."""
FORMATS = ("bfloat16", "float16")
BFLOAT16 = "mixssl.BFloat16OptimWrapper"
FUSED = ("Adam", "AdamW", "SGD")
"""Optimizers of torch with a form that steps all parameters in one operation."""


def apply_step_options(cfg: Config) -> None:
    """Carries out what stands in a config before anything is built: ``amp`` and ``fused_optimizer``.

    Args:
        cfg: Changed in place: ``amp="bfloat16"`` or ``"float16"`` makes the optimizer wrapper one of mixed precision,
            ``fused_optimizer=True`` sets ``optim_wrapper.optimizer.fused``, or takes ``mixssl.LARS`` for ``LARS``.

    Raises:
        ConfigError: A value or an optimizer that an option can't work with, options that exclude each other, or
            mmengine's own ``compile``.
    """
    _check(cfg)
    if cfg.get("amp"):
        _use_amp(cfg, str(cfg.amp))
    if cfg.get("fused_optimizer"):
        _fuse(cfg)


def apply_model_options(model: nn.Module, cfg: Mapping[str, Any]) -> list[str]:
    """Carries out ``channels_last``, ``checkpoint_backbone`` and ``compile_encoders`` on a model, before it is wrapped.

    Args:
        model: Built; changed in place.
        cfg: ``compile_encoders`` is True, or a dict of torch.compile's arguments.

    Returns:
        What was done, one line each, for the log.
    """
    done = []
    if cfg.get("channels_last"):
        use_channels_last(model)
        done.append("channels_last: encoders keep channels innermost.")
    if cfg.get("checkpoint_backbone"):
        checkpoint_backbone(model)
        done.append(
            "checkpoint_backbone: blocks of the backbone are computed twice, to save memory."
        )
    if cfg.get("compile_encoders"):
        options = cfg["compile_encoders"]
        compile_encoders(model, options if isinstance(options, Mapping) else None)
        done.append("compile_encoders: the first iterations compile, and take long.")
    return done


def _check(cfg: Config) -> None:
    """Raises a ConfigError at options that can't work."""
    if cfg.get("compile"):
        raise ConfigError(
            "compile compiles the whole model, whose step is a template that compilers can't follow: set "
            "compile_encoders=True in its place"
        )
    if cfg.get("compile_encoders") and cfg.get("checkpoint_backbone"):
        raise ConfigError(
            "compile_encoders and checkpoint_backbone are both set, and each wants to run the backbone: leave one out"
        )
    asked = [name for name in OF_MODEL if cfg.get(name)]
    if asked and "runner_type" in cfg:
        raise ConfigError(
            f"{asked[0]} is set, and runner_type={cfg.runner_type!r} builds its model by itself: leave {asked[0]} out"
        )
    if cfg.get("checkpoint_backbone") and _checkpoints_itself(cfg):
        raise ConfigError(
            "checkpoint_backbone and model.backbone.with_cp are both set: leave with_cp out, which also counts running "
            "statistics twice"
        )


def _checkpoints_itself(cfg: Config) -> bool:
    backbone = (cfg.get("model") or {}).get("backbone") or {}
    return bool(backbone.get("with_cp"))


def _use_amp(cfg: Config, name: str) -> None:
    """Makes the optimizer wrapper one of mixed precision; bfloat16 needs no loss scale, and so no reading of it."""
    if name not in FORMATS:
        raise ConfigError(f"amp is {name!r} and must be one of {', '.join(FORMATS)}, or False")
    wrapper = cfg.optim_wrapper
    kind = wrapper.get("type", "OptimWrapper")
    if kind not in ("OptimWrapper", "AmpOptimWrapper", BFLOAT16):
        raise ConfigError(
            f"amp works with optim_wrapper.type='OptimWrapper', and the config has {kind!r}: leave amp out"
        )
    if name == "bfloat16":
        wrapper["type"] = BFLOAT16
        wrapper.pop("loss_scale", None)  # of a config or an option that asked for float16
        wrapper.pop("dtype", None)
        return
    wrapper.update({"type": "AmpOptimWrapper", "dtype": name})
    wrapper.setdefault("loss_scale", "dynamic")


def _fuse(cfg: Config) -> None:
    """Has the optimizer step all parameters at once."""
    optimizer = cfg.optim_wrapper.get("optimizer") or {}
    kind = str(optimizer.get("type"))
    if kind in ("LARS", "mmpretrain.LARS"):
        optimizer["type"] = "mixssl.LARS"
    elif kind in FUSED:
        optimizer["fused"] = True
    elif kind != "mixssl.LARS":
        raise ConfigError(
            f"fused_optimizer needs one of {', '.join(FUSED)} or LARS, and optim_wrapper.optimizer.type is {kind!r}: "
            "leave fused_optimizer out"
        )
