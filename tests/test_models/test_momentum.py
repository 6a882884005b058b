"""Fused moving averages are mmengine's and mmpretrain's, bit by bit, and know their counter without reading it."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.model import BaseAveragedModel, ExponentialMovingAverage, StochasticWeightAverage
from mmpretrain.models.utils import CosineEMA
from support.tiny import build, moco
from torch import nn

from mixssl.models.momentum import FusedCosineEMA, FusedEMA, fused

KINDS: dict[str, Callable[[nn.Module], BaseAveragedModel]] = {
    "constant": lambda model: ExponentialMovingAverage(model, momentum=0.03),
    "cosine": lambda model: CosineEMA(model, momentum=0.03, end_momentum=0.002),
}


@pytest.fixture(autouse=True)
def run_of_fifty() -> Iterator[None]:
    hub = MessageHub.get_current_instance()
    before = hub.runtime_info.get("max_iters")
    hub.update_info("max_iters", 50)
    yield
    hub.update_info("max_iters", before)


def _network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1).double(), nn.PReLU()
    )


def _change(model: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.add_(torch.randn(tensor.shape, generator=generator).to(tensor.dtype))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bits_as_the_loop(kind: str) -> None:
    slow = KINDS[kind](_network(0))
    quick = fused(slow)
    assert isinstance(quick, FusedEMA) and type(slow) in type(quick).__mro__
    source = _network(1)
    for step in range(40):
        _change(source, step)
        slow.update_parameters(source)
        quick.update_parameters(source)
        expected, found = slow.state_dict(), quick.state_dict()
        assert list(expected) == list(found)
        assert all(torch.equal(expected[key], found[key]) for key in expected), step
    assert quick.count == 40 == int(quick.steps)


def test_a_move_by_hand() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = FusedEMA(model, momentum=0.25)
    nn.init.constant_(model.weight, 2.0)
    average.update_parameters(model)  # the first is a copy
    nn.init.constant_(model.weight, 6.0)
    average.update_parameters(model)
    assert average.module.weight.item() == 3.0
    assert not average.module.weight.requires_grad and model.weight.requires_grad


def test_the_counter_is_read_only_after_somebody_else_wrote_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    average, source = FusedCosineEMA(_network(0), 0.03), _network(1)
    reads = []
    read = torch.Tensor.__int__
    monkeypatch.setattr(torch.Tensor, "__int__", lambda self: (reads.append(1), read(self))[1])
    for _ in range(5):
        average.update_parameters(source)
    assert len(reads) == 1
    average.count += 3
    average.update_parameters(source)
    assert len(reads) == 1 and average.steps.tolist() == 9
    average.steps.sub_(2)
    average.update_parameters(source)
    assert len(reads) == 2 and average.steps.tolist() == 8
    average.load_state_dict(FusedCosineEMA(_network(0), 0.03).state_dict())
    assert average.count == 0 and len(reads) == 3
    average.update_parameters(source)
    assert torch.equal(average.module[0].weight, source[0].weight), "a loaded counter of 0 copies"
    average.to(torch.float64)
    average.register_buffer("steps", torch.tensor(7))
    assert average.count == 7 and len(reads) == 4


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_counts_for_itself(copied: Callable) -> None:
    average, source = FusedEMA(_network(0), 0.03), _network(1)
    average.update_parameters(source)
    twin = copied(average)
    average.update_parameters(source)
    assert (average.count, twin.count) == (2, 1)
    twin.steps.fill_(5)
    assert (average.count, twin.count) == (2, 5)


def test_what_has_no_fused_form_stays_as_it_is() -> None:
    model = nn.Linear(1, 1)
    for module in (
        model,
        StochasticWeightAverage(model),
        ExponentialMovingAverage(model, update_buffers=True),
        CosineEMA(model, interval=2),
        FusedEMA(model),
    ):
        assert fused(module) is module


def test_methods_have_them() -> None:
    assert type(build(moco()).encoder_k) is FusedEMA
    assert type(build(moco(end_momentum=0.0)).encoder_k) is FusedCosineEMA


@pytest.mark.parametrize("kind", ["constant", "cosine"])
def test_an_average_like_another_follows_another_model_by_the_same_law(kind: str) -> None:
    first = fused(KINDS[kind](nn.Linear(2, 2)))
    other = nn.Linear(3, 1)
    second = first.like(other)
    again = fused(KINDS[kind](other))
    assert type(second) is type(first)
    for averaged in (second, again):
        averaged.count = 20
    with torch.no_grad():
        other.weight.add_(1)
    for averaged in (second, again):
        averaged.update_parameters(other)
    assert torch.equal(second.module.weight, again.module.weight)
    assert not torch.equal(second.module.weight, other.weight)
