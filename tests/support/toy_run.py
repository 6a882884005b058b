"""A run of a second: a linear model on random images, with everything random in it that a real run has."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import Dataset

_runs = count()


class NoisyImages(Dataset):
    """Samples that draw from Python's, NumPy's and torch's global generators, as augmentations do."""

    def __init__(self, length: int = 24) -> None:
        self.length = length
        self.seen: list[int] = []

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Tensor:
        self.seen.append(index)
        noise = random.random() + np.random.rand() + torch.rand(4)  # noqa: NPY002 (the state under test)
        return torch.full((4,), float(index)) / self.length + noise


class ToyModel(BaseModel):
    """Two loss terms; the second can be made NaN at a step, or the weights be spoilt."""

    def __init__(self, nan_at: int | None = None, spoil_at: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)  # a runner seeds only after it was handed its model
        self.linear = nn.Linear(4, 2)
        self.nan_at, self.spoil_at, self.step = nan_at, spoil_at, 0

    def forward(self, inputs: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        out = self.linear(inputs + torch.randn_like(inputs))
        mixed = out.abs().mean()
        if self.step == self.nan_at:
            mixed = mixed * float("nan")
        if self.step == self.spoil_at:
            with torch.no_grad():
                self.linear.bias.fill_(float("inf"))
        self.step += 1
        return {"loss_clean": out.pow(2).mean(), "loss_mix": mixed}


class ToyPreprocessor(nn.Module):
    """Hands a batch to ``forward`` by name."""

    def forward(self, data: Tensor, training: bool = False) -> dict[str, Tensor]:
        return {"inputs": data}


def toy_runner(work_dir: Path, hooks: list[Any], **changes: Any) -> Runner:
    """A runner of 3 epochs with 6 iterations of 4 images, a checkpoint per epoch, and a schedule by iteration."""
    model = changes.pop("model", None) or ToyModel()
    model.data_preprocessor = ToyPreprocessor()
    batch_size = changes.pop("batch_size", 4)
    settings: dict[str, Any] = {
        "train_dataloader": {
            "dataset": NoisyImages(),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "batch_size": batch_size,
            "collate_fn": {"type": "default_collate"},
            "drop_last": True,
            "num_workers": 0,
        },
        "train_cfg": {"by_epoch": True, "max_epochs": 3},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}},
        "param_scheduler": [{"type": "CosineAnnealingLR", "T_max": 18, "by_epoch": False}],
        "default_hooks": {"logger": {"type": "LoggerHook", "interval": 3}},
        "custom_hooks": hooks,
        "randomness": {"seed": 5},
        "experiment_name": f"toy_{next(_runs)}",  # what mmengine keeps by name is a run's own
        "log_level": "WARNING",
    }
    return Runner(model, str(work_dir), **(settings | changes))


def weights(runner: Runner) -> dict[str, Tensor]:
    """A copy of the model's state."""
    return {name: value.clone() for name, value in runner.model.state_dict().items()}
