"""The median of the last validations, in a run and after a resume."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub
from support.toy_run import NoisyImages, ToyModel, toy_runner

from mixssl.engine.hooks import MedianHook
from mixssl.utils.errors import ConfigError

VALUES = [5.0, 1.0, 9.0, 2.0, 4.0]


class Given(BaseMetric):
    """Gives a value per epoch."""

    left = iter(VALUES)

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(1)

    def compute_metrics(self, results: list) -> dict[str, float]:
        return {"top1": next(self.left)}


class Predicting(ToyModel):
    def forward(self, inputs: Any, mode: str = "loss") -> Any:
        return [inputs] if mode == "predict" else super().forward(inputs)


def _runner(folder: Path, epochs: int, **changes: Any) -> Any:
    loader = {
        "dataset": NoisyImages(4),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "batch_size": 4,
        "num_workers": 0,
        "collate_fn": {"type": "default_collate"},
    }
    return toy_runner(
        folder,
        [MedianHook("given/top1", last=3)],
        model=Predicting(),
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        val_dataloader=loader,
        val_cfg={},
        val_evaluator=[Given(prefix="given")],
        **changes,
    )


def test_the_median_of_the_last_is_logged_and_survives_a_resume(tmp_path: Path) -> None:
    Given.left = iter(VALUES)
    runner = _runner(tmp_path, 4)
    runner.train()
    # The checkpoint of an epoch is written before its validation.
    resumed = _runner(tmp_path, 5, resume=True, load_from=str(tmp_path / "epoch_4.pth"))
    resumed.train()
    lines = [json.loads(line) for path in tmp_path.rglob("scalars.json") for line in path.open()]
    found = {
        line["step"]: line["given/top1_median"] for line in lines if "given/top1_median" in line
    }
    assert found == {1: 5.0, 2: 3.0, 3: 5.0, 4: 2.0, 5: 4.0}
    assert resumed.message_hub.get_info("given/top1_last_3") == [1.0, 9.0, 4.0]


def test_a_metric_that_is_not_there_is_named() -> None:
    hook = MedianHook()
    runner = SimpleNamespace(message_hub=MessageHub.get_instance("median"))
    with pytest.raises(ConfigError, match="waits for the metric 'accuracy/top1' .* gives loss: "):
        hook.after_val_epoch(runner, {"loss": 1.0})
    with pytest.raises(ConfigError, match="gives nothing"):
        hook.after_val_epoch(runner, None)


def test_no_validations_have_no_median() -> None:
    with pytest.raises(ValueError, match="last is 0 and must be at least 1"):
        MedianHook(last=0)
