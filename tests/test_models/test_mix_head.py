"""What all mix heads share: their weight and its warm-up."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import MessageHub
from support.tiny import build, moco, preprocessor, views

from mixssl.mixing import global_mixture
from mixssl.models.heads import UnMixHead
from mixssl.models.heads.base import epochs_done


@pytest.fixture
def hub() -> Iterator[MessageHub]:
    """A hub that no other test sees."""
    name = "test_mix_head"
    yield MessageHub.get_instance(name)
    MessageHub._instance_dict.pop(name)


def _at(hub: MessageHub, done: int, iterations: int, epochs: int) -> None:
    """Tells the hub what mmengine's own hook tells it before an iteration."""
    runner = SimpleNamespace(
        message_hub=hub,
        epoch=0,
        iter=done,
        max_epochs=epochs,
        max_iters=iterations,
        train_dataloader=SimpleNamespace(dataset=None),
        optim_wrapper=SimpleNamespace(get_lr=lambda: {"lr": [0.1]}, get_momentum=dict),
    )
    RuntimeInfoHook().before_train(runner)
    RuntimeInfoHook().before_train_iter(runner, 0)


@pytest.mark.parametrize(
    ("done", "epochs", "weight"),
    [
        (0, 10, 0.0),
        (5, 10, 0.5),
        (15, 10, 1.5),
        (20, 10, 2.0),
        (99, 10, 2.0),
        (1, 1, 0.01),
        (50, 1, 0.5),
    ],
)
def test_the_weight_rises_linearly_over_the_first_epochs(
    hub: MessageHub, done: int, epochs: int, weight: float
) -> None:
    """Ten iterations make an epoch; with max_epochs 1, as in loops that count iterations, the run makes one."""
    _at(hub, done, 100, epochs)
    assert epochs_done() == pytest.approx(done * epochs / 100)
    assert UnMixHead(loss_weight=2.0, warmup_epochs=2.0).weight == pytest.approx(weight)


def test_without_a_warmup_the_weight_is_full_from_the_start(hub: MessageHub) -> None:
    _at(hub, 0, 100, 10)
    assert UnMixHead(loss_weight=2.0).weight == 2.0


def test_without_a_runner_the_weight_is_full(hub: MessageHub) -> None:
    assert epochs_done() is None
    assert UnMixHead(loss_weight=2.0, warmup_epochs=3).weight == 2.0


def test_the_loss_follows_the_weight(hub: MessageHub) -> None:
    cfg = moco(
        data_preprocessor=preprocessor({"type": "mixssl.UnMix"}),
        mix_head={"type": "mixssl.UnMixHead", "warmup_epochs": 2},
    )
    model, x = build(cfg).eval(), views()
    mixed = global_mixture(x[0], 0, torch.tensor([0.3]))
    values = []
    for done in (0, 10, 20):
        _at(hub, done, 100, 10)
        values.append(model(x, mode="loss", mixtures=[mixed])["loss_mix"].item())
    assert values[0] == 0.0
    assert values[1] == pytest.approx(values[2] / 2)
    assert values[2] > 0


@pytest.mark.parametrize(
    ("name", "value"), [("loss_weight", -1.0), ("warmup_epochs", float("nan"))]
)
def test_arguments_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} of UnMixHead is {value} and must be >= 0"):
        UnMixHead(**{name: value})
