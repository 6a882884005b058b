"""The monitor tells the truth, disturbs nothing, and says what is wrong before a run starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from support import tiny
from support.ddp import run_ranks
from support.monitored import loader, make_runner
from torch import Tensor

from mixssl.engine.hooks import KNNMonitorHook
from mixssl.evaluation import accuracy, extract_features, knn_accuracy, weighted_knn
from mixssl.utils.errors import ConfigError

BANK, QUERY, K = 61, 37, 10


def monitor(**changes: Any) -> dict:
    return {
        "type": "mixssl.KNNMonitorHook",
        "bank": loader("train", BANK),
        "query": loader("test", QUERY),
        "k": K,
        **changes,
    }


def scalars(runner: Runner) -> list[dict]:
    """What was written for this metric."""
    (path,) = Path(runner.work_dir).glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if "knn_top1" in row]


def test_training_is_bit_identical_with_and_without(tmp_path: Path) -> None:
    # A runner seeds the process as it is made: one after the other.
    plain = make_runner(tmp_path / "a", [])
    plain.train()
    watched = make_runner(tmp_path / "b", [monitor()])
    watched.train()
    found = watched.model.state_dict()
    assert found.keys() == plain.model.state_dict().keys()
    assert all(torch.equal(value, found[name]) for name, value in plain.model.state_dict().items())
    for name in ("train/loss_clean", "train/loss_mix"):
        losses = [run.message_hub.get_scalar(name).data[0].tolist() for run in (plain, watched)]
        assert losses[0] == losses[1]


@pytest.mark.parametrize("feature", ["backbone", "projected"])
def test_the_figure_is_that_of_the_weights(tmp_path: Path, feature: str) -> None:
    runner = make_runner(tmp_path, [monitor(feature=feature, query_chunk=5, bank_chunk=7)])
    runner.train()
    bank, query = (
        extract_features(runner.model, Runner.build_dataloader(loader(*args), seed=0), feature)
        for args in (("train", BANK), ("test", QUERY))
    )
    assert query.labels is not None
    expected = accuracy(weighted_knn(query.features, bank.features, bank.labels, K), query.labels)
    rows = scalars(runner)
    assert [row["step"] for row in rows] == [0, 1, 2]
    assert rows[-1]["knn_top1"] == pytest.approx(expected)
    assert runner.message_hub.get_scalar("val/knn_top1").current() == pytest.approx(expected)
    assert (
        "knn_top1" in (Path(runner.log_dir) / "vis_data" / f"{runner.timestamp}.json").read_text()
    )


def test_loaders_not_given_are_those_of_the_config(tmp_path: Path) -> None:
    given = make_runner(tmp_path / "a", [monitor()])
    given.train()
    cfg = Config({"knn_bank": loader("train", BANK), "knn_query": loader("test", QUERY)})
    left_out = make_runner(tmp_path / "b", [monitor(bank=None, query=None)], cfg=cfg)
    left_out.train()
    assert [row["knn_top1"] for row in scalars(left_out)] == [
        row["knn_top1"] for row in scalars(given)
    ]


def test_a_loader_of_its_own_comes_before_the_configs(tmp_path: Path) -> None:
    cfg = Config({"knn_bank": loader("train", K - 1), "knn_query": loader("test", QUERY)})
    runner = make_runner(tmp_path / "a", [monitor(query=None)], epochs=1, cfg=cfg)
    runner.train()
    assert len(scalars(runner)) == 2
    runner = make_runner(tmp_path / "b", [monitor(bank=None)], cfg=cfg)
    with pytest.raises(ConfigError, match=f"the bank has {K - 1} images"):
        runner.train()


@pytest.mark.parametrize(
    ("changes", "epochs", "steps"),
    [
        ({"interval": 2}, 5, [0, 2, 4, 5]),
        ({"interval": 2, "before_train": False}, 4, [2, 4]),
        ({"interval": 9, "before_train": False}, 2, [2]),
    ],
)
def test_epochs_that_are_evaluated(
    tmp_path: Path, changes: dict, epochs: int, steps: list[int]
) -> None:
    runner = make_runner(tmp_path, [monitor(**changes)], epochs)
    runner.train()
    assert [row["step"] for row in scalars(runner)] == steps


def test_a_resumed_run_evaluates_what_it_starts_from(tmp_path: Path) -> None:
    make_runner(tmp_path / "a", [], epochs=1).train()
    checkpoint = str(tmp_path / "a" / "epoch_1.pth")
    runner = make_runner(tmp_path / "b", [monitor()], load_from=checkpoint, resume=True)
    runner.train()
    assert [row["step"] for row in scalars(runner)] == [1, 2]


def test_an_iteration_based_loop_is_evaluated_before_and_after(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "train_cfg": {"by_epoch": False, "max_iters": 3},
        "default_hooks": {},
        "log_processor": {"by_epoch": False},
    }
    runner = make_runner(tmp_path, [monitor()], **changes)
    runner.train()
    assert [row["step"] for row in scalars(runner)] == [0, 3]


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    checkpoint = {"type": "CheckpointHook", "interval": 1, "save_best": "knn_top1"}
    runner = make_runner(tmp_path, [monitor()], 3, default_hooks={"checkpoint": checkpoint})
    runner.train()
    trained = {row["step"]: row["knn_top1"] for row in scalars(runner) if row["step"] > 0}
    best = max(trained, key=lambda epoch: trained[epoch])
    (path,) = tmp_path.glob("best_knn_top1_epoch_*.pth")
    assert path.name == f"best_knn_top1_epoch_{best}.pth"
    saved, regular = (
        torch.load(file, weights_only=False) for file in (path, tmp_path / f"epoch_{best}.pth")
    )
    assert (saved["meta"]["epoch"], saved["meta"]["iter"]) == (best, 2 * best)
    for name, value in saved["state_dict"].items():
        assert value.equal(regular["state_dict"][name])


class Clock(Hook):
    """Notes the time that the first iteration of each epoch claims to have waited for data."""

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if batch_idx == 0:
            self.seconds.append(runner.message_hub.get_scalar("train/data_time").current())


def test_iteration_times_leave_the_evaluation_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    from mixssl.engine.hooks import knn_monitor_hook

    def slow(*args: Any, **kwargs: Any) -> float:
        time.sleep(0.5)
        return 50.0

    monkeypatch.setattr(knn_monitor_hook, "knn_accuracy", slow)
    clock = Clock()
    make_runner(tmp_path, [monitor(), clock]).train()
    assert len(clock.seconds) == 2
    assert max(clock.seconds) < 0.4


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"feature": "head"}, "feature is 'head'"),
            ({"interval": 0}, "interval is 0"),
            ({"k": 0}, "k is 0"),
            ({"temperature": -0.1}, "temperature is -0.1"),
            ({"bank_chunk": 0}, "bank_chunk is 0"),
        ],
    )
    def test_settings(self, changes: dict[str, Any], named: str) -> None:
        with pytest.raises(ConfigError, match=named):
            KNNMonitorHook(bank={}, query={}, **changes)

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"k": BANK + 1}, f"k is {BANK + 1}, but the bank has {BANK} images"),
            ({"query": loader("test", QUERY, drop_last=True)}, "drop_last=False"),
            ({"bank": loader("train", BANK, sampler={"type": "InfiniteSampler"})}, "does not tell"),
            ({"bank": None}, "bank is None, and the config has no knn_bank"),
            ({"query": None}, "query is None, and the config has no knn_query"),
        ],
    )
    def test_before_the_first_step(
        self, tmp_path: Path, changes: dict[str, Any], named: str
    ) -> None:
        runner = make_runner(tmp_path, [monitor(before_train=False, **changes)])
        with pytest.raises(ConfigError, match=named) as error:
            runner.train()
        assert "\n" not in str(error.value)
        assert runner.iter == 0


def rank_accuracy(rank: int) -> Tensor:
    # More ranks than one share the queries unevenly; statistics differ between them.
    model = tiny.build(tiny.moco())
    model.backbone.bn1.running_mean.fill_(40.0 * rank)
    return torch.tensor(knn_accuracy(model, *build_loaders(), k=K))


def build_loaders() -> list:
    from mmpretrain.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    configs = (loader("train", BANK), loader("test", QUERY))
    return [Runner.build_dataloader(config, seed=0) for config in configs]


def test_two_ranks_get_the_figure_of_one_process() -> None:
    model = tiny.build(tiny.moco())
    model.backbone.bn1.running_mean.fill_(0.0)
    alone = knn_accuracy(model, *build_loaders(), k=K)
    assert 20 < alone < 100
    assert [result.item() for result in run_ranks(rank_accuracy)] == pytest.approx([alone] * 2)
