"""Statistics of batch normalisation: what they become, when, and what stays."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import HOOKS
from mmengine.runner import IterBasedTrainLoop
from support.ddp import run_ranks
from support.toy_run import ToyPreprocessor, toy_runner, weights
from torch import Tensor, nn

from mixssl.engine.hooks import PreciseBNHook
from mixssl.engine.hooks.precise_bn_hook import average_statistics
from mixssl.utils.errors import ConfigError


class Normed(BaseModel):
    """Two norms in a row, one in evaluation mode, and one that no batch reaches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 3)
        self.first, self.second = nn.BatchNorm1d(3), nn.BatchNorm1d(3, momentum=0.3)
        self.fixed, self.idle = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        self.data_preprocessor = ToyPreprocessor()
        nn.init.uniform_(self.first.weight, 0.5, 2)

    def train(self, mode: bool = True) -> Normed:
        super().train(mode)
        self.fixed.eval()
        return self

    def forward(self, inputs: Tensor, mode: str = "loss") -> dict[str, Tensor]:
        hidden = self.second(self.first(self.linear(inputs)).relu())
        return {"loss": self.fixed(hidden).pow(2).mean()}


def _batches(count: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(6, 4, generator=generator) + i for i in range(count)]


def _naive(model: Normed, batches: list[Tensor]) -> dict[str, Tensor]:
    """Means over the batches of what each norm sees, by definition."""
    first = [model.linear(x) for x in batches]
    normed = [
        (x - x.mean(0)) / (x.var(0, unbiased=False) + 1e-5).sqrt() * model.first.weight
        + model.first.bias
        for x in first
    ]
    second = [x.relu() for x in normed]
    return {
        f"{name}.running_{what}": torch.stack([of(x) for x in seen]).mean(0).detach()
        for name, seen in (("first", first), ("second", second))
        for what, of in (("mean", lambda x: x.mean(0)), ("var", lambda x: x.var(0)))
    }


def test_statistics_are_the_mean_over_the_batches() -> None:
    model = Normed().train()
    for x in _batches(3, seed=1):  # statistics of the past
        model(x)
    before = copy.deepcopy(model.state_dict())
    batches = _batches(5)
    given = [x.clone() for x in batches]
    assert average_statistics(model, batches) == (2, 5)
    after = model.state_dict()
    for name, expected in _naive(model, batches).items():
        torch.testing.assert_close(after.pop(name), expected)
        assert not torch.allclose(before.pop(name), expected)
    assert all(value.equal(before[name]) for name, value in after.items())
    assert [model.first.momentum, model.second.momentum] == [0.1, 0.3]
    assert all(torch.equal(x, y) for x, y in zip(batches, given, strict=True))
    assert model.training and all(p.grad is None for p in model.parameters())


def test_momentum_is_put_back_after_an_error() -> None:
    model = Normed().train()
    with pytest.raises(RuntimeError):
        average_statistics(model, [torch.zeros(6, 5)])
    assert model.second.momentum == 0.3


def _rank(rank: int) -> list[Tensor]:
    model = Normed().train()
    average_statistics(model, _batches(4)[2 * rank : 2 * rank + 2])
    return [model.second.running_mean, model.second.running_var, model.idle.running_mean]


def test_two_processes_agree_on_the_mean_over_all_batches() -> None:
    one = Normed().train()
    average_statistics(one, _batches(4))
    expected = [one.second.running_mean, one.second.running_var, one.idle.running_mean]
    for found in run_ranks(_rank):
        for value, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(value, wanted)


class Points:
    """Twelve vectors; each access adds noise from torch's global generator, as augmentations do."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Tensor:
        return torch.full((4,), float(index)) + torch.rand(4)


def _run(tmp_path, hooks, loop, **changes):
    """A run over the points from a config, as the hook needs it."""
    loader = {
        "batch_size": 4,
        "num_workers": 0,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "default_collate"},
        "dataset": Points(),
    }
    model = Normed()
    runner = toy_runner(
        tmp_path, hooks, model=model, train_dataloader=loader, train_cfg=loop, **changes
    )
    model.data_preprocessor = ToyPreprocessor()
    runner.cfg["train_dataloader"] = {key: loader[key] for key in loader if key != "dataset"}
    return runner


BY_ITER = {"type": "IterBasedTrainLoop", "max_iters": 6, "val_interval": 100}
BY_EPOCH = {"by_epoch": True, "max_epochs": 2}
SAVE = {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 6}}


@pytest.mark.parametrize("loop", [BY_ITER, BY_EPOCH], ids=["iterations", "epochs"])
def test_training_is_the_same_but_for_the_statistics(tmp_path, loop, monkeypatch) -> None:
    measured = []
    original = PreciseBNHook._measure
    monkeypatch.setattr(
        PreciseBNHook,
        "_measure",
        lambda self, runner: (measured.append(runner.iter), original(self, runner)),
    )
    plain = _run(tmp_path / "plain", [], loop, default_hooks=SAVE)
    plain.train()
    precise = _run(tmp_path / "precise", [PreciseBNHook(2)], loop, default_hooks=SAVE)
    precise.train()
    assert len(measured) == 1  # at the end
    expected, found = weights(plain), weights(precise)
    differ = {name for name in found if not found[name].equal(expected[name])}
    assert differ == {f"{n}.running_{w}" for n in ("first", "second") for w in ("mean", "var")}
    saved = torch.load(tmp_path / "precise/iter_6.pth", weights_only=False)["state_dict"]
    if loop is BY_ITER:  # the checkpoint of the same step holds what was measured
        assert all(saved[name].equal(found[name]) for name in found)


def test_measures_before_each_validation(monkeypatch) -> None:
    measured = []
    monkeypatch.setattr(
        PreciseBNHook, "_measure", lambda self, runner: measured.append(loop.iter + 1)
    )

    loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    loop._iter, loop._max_iters, loop.val_interval, loop.val_begin = 0, 10, 4, 5

    class Runner:
        train_loop, val_loop = loop, object()

    for loop._iter in range(10):
        PreciseBNHook().after_train_iter(Runner(), loop._iter)
        PreciseBNHook().after_train_epoch(Runner())
    assert measured == [8, 10]  # 4 lies before val_begin; 10 is the end
    measured.clear()
    Runner.val_loop = None
    for loop._iter in range(10):
        PreciseBNHook().after_train_iter(Runner(), loop._iter)
    assert measured == [10]


def test_batches_of_no_number_and_runners_of_no_config_are_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match="num_iters is 0 and must be at least 1"):
        PreciseBNHook(0)
    assert HOOKS.build({"type": "mixssl.PreciseBNHook"}).num_iters == 200
    runner = toy_runner(tmp_path, [PreciseBNHook(1)], train_cfg={"by_epoch": True, "max_epochs": 1})
    with pytest.raises(ConfigError, match="this runner's config has none"):
        runner.train()
