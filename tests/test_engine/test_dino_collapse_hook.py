"""DINO's two ends are told apart from learning, after an epoch, in the log."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from mmengine.logging import HistoryBuffer

from mixssl.engine.hooks import DINOCollapseHook
from mixssl.engine.hooks.dino_collapse_hook import collapse


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (math.log(2048), "the logarithm of 2048 prototypes"),
        (math.log(2048) - 0.03, "lower teacher_temperature"),
        (math.log(2048) - 0.3, None),
        (3.0, None),
        (0.002, "all images to one prototype"),
    ],
)
def test_the_two_ends(loss: float, said: str | None) -> None:
    found = collapse(loss, 2048)
    assert found is None if said is None else said in str(found) and "\n" not in str(found)


@pytest.mark.parametrize(("last", "warned"), [(2.0, 0), (math.log(64), 1)])
def test_the_epochs_mean_counts(last: float, warned: int) -> None:
    losses = HistoryBuffer()
    for value in [3.0] * 4 + [last] * 4:  # two epochs of four steps
        losses.update(value)
    said: list[tuple] = []
    model = SimpleNamespace(center=SimpleNamespace(shape=(1, 64)))
    runner = SimpleNamespace(
        message_hub=SimpleNamespace(log_scalars={"train/loss_clean": losses}),
        train_dataloader=range(4),
        model=model,
        epoch=1,
        logger=SimpleNamespace(warning=lambda *args: said.append(args)),
    )
    DINOCollapseHook().after_train_epoch(runner)
    assert len(said) == warned
