"""A short pre-training run on digits for hooks that watch one."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from support import tiny

_runs = count()


def loader(split: str, images: int, **changes: Any) -> dict:
    """Config of a loader of digits, unaugmented and in order."""
    config = Config.fromfile("configs/_base_/datasets/digits.py")
    settings = (config.knn_bank if split == "train" else config.knn_query).to_dict()
    settings["dataset"]["indices"] = images
    return {**settings, **changes}


def make_runner(
    work_dir: Path, hooks: list[dict | Hook], epochs: int = 2, **changes: Any
) -> Runner:
    """A MoCo with Un-Mix on 32 digits; the views are drawn in this process, where a monitor could disturb them."""
    train = Config.fromfile("configs/_base_/datasets/digits.py").train_dataloader.to_dict()
    train.update(batch_size=16, num_workers=0, persistent_workers=False)
    train["dataset"]["indices"] = 32
    model = tiny.moco(mixer={"type": "mixssl.UnMix"})
    model["data_preprocessor"].update(mean=[79.7] * 3, std=[90.5] * 3)
    settings = {
        "model": model,
        "train_dataloader": train,
        "train_cfg": {"by_epoch": True, "max_epochs": epochs},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1}},
        "visualizer": {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]},
        "randomness": {"seed": 0},
        "log_level": "WARNING",
    }
    return Runner(
        work_dir=str(work_dir),
        custom_hooks=hooks,
        default_scope="mmpretrain",
        experiment_name=f"monitor_{next(_runs)}",
        **{**settings, **changes},
    )
