"""The probe learns, is saved, and leaves training as it is."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from support import tiny
from support.ddp import run_ranks
from support.grid import CONFIGS
from support.methods_more import run_length
from support.monitored import loader, make_runner
from torch import Tensor, nn

from mixssl.engine.hooks import LinearProbeHook
from mixssl.engine.hooks.backbone_tap import BackboneTap
from mixssl.evaluation import accuracy, extract_features
from mixssl.utils.errors import ConfigError

QUERY = 37


def probe(**changes: Any) -> dict:
    settings = {"type": "mixssl.LinearProbeHook", "query": loader("test", QUERY), "log_interval": 1}
    return {**settings, **changes}


def hook_of(runner: Runner) -> LinearProbeHook:
    (found,) = [hook for hook in runner.hooks if isinstance(hook, LinearProbeHook)]
    return found


def classifier(runner: Runner) -> nn.Linear:
    found = hook_of(runner)._classifier
    assert found is not None
    return found


def scalars(runner: Runner, name: str) -> list[dict]:
    (path,) = Path(runner.work_dir).glob("*/vis_data/scalars.json")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if name in row]


def test_training_is_bit_identical_with_and_without(tmp_path: Path) -> None:
    # A runner seeds the process as it is made: one after the other.
    plain = make_runner(tmp_path / "a", [])
    plain.train()
    watched = make_runner(tmp_path / "b", [probe()])
    watched.train()
    found = watched.model.state_dict()
    assert found.keys() == plain.model.state_dict().keys()
    assert all(torch.equal(value, found[name]) for name, value in plain.model.state_dict().items())
    for name in ("train/loss_clean", "train/loss_mix"):
        losses = [run.message_hub.get_scalar(name).data[0].tolist() for run in (plain, watched)]
        assert losses[0] == losses[1]
    assert classifier(watched).weight.abs().sum() > 0
    backbone = watched.model.backbone
    assert not backbone._forward_hooks and not watched.model.data_preprocessor._forward_hooks


class Watch(Hook):
    """Recomputes a probe from what the tap took, with plain autograd."""

    priority = "HIGH"  # before the probe

    def __init__(self, lr: float) -> None:
        self.weight = torch.zeros(10, tiny.WIDTH * 8, requires_grad=True)
        self.bias = torch.zeros(10, requires_grad=True)
        self.lr, self.right, self.seen = lr, 0, 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        feature = hook_of(runner)._tap._feature  # type: ignore[union-attr]
        assert feature is not None and not feature.requires_grad
        labels = torch.cat([sample.gt_label for sample in data_batch["data_samples"]])
        scores = F.linear(feature, self.weight, self.bias)
        self.right += int((scores.argmax(1) == labels).sum())
        self.seen += len(labels)
        F.cross_entropy(scores, labels).backward()
        with torch.no_grad():
            for parameter in (self.weight, self.bias):
                parameter -= self.lr * parameter.grad
                parameter.grad = None


def test_the_classifier_is_what_plain_autograd_makes_of_the_features(tmp_path: Path) -> None:
    watch = Watch(0.5)
    optimizer = {"type": "SGD", "lr": 0.5}
    runner = make_runner(tmp_path, [watch, probe(optimizer=optimizer, log_interval=2)], epochs=1)
    runner.train()
    torch.testing.assert_close(classifier(runner).weight, watch.weight.detach())
    torch.testing.assert_close(classifier(runner).bias, watch.bias.detach())
    figure = runner.message_hub.get_scalar("train/probe_top1").current()
    assert watch.seen == 32 and figure == pytest.approx(100 * watch.right / 32)


def test_the_features_are_those_of_the_first_view(tmp_path: Path) -> None:
    model = tiny.build(tiny.moco(mixer={"type": "mixssl.UnMix"}))
    tap = BackboneTap(model)
    data = model.data_preprocessor({"inputs": tiny.views(), "data_samples": None}, True)
    model(**data, mode="loss")
    found = tap.take()
    fresh = tiny.build(tiny.moco())
    expected = fresh.backbone(tiny.views()[0])[-1].mean((2, 3))
    assert found is not None and found.equal(expected.detach())
    assert tap.take() is None


@pytest.mark.parametrize("method", ["MixSimCLR", "MixBYOL", "MixSwAV", "MixBarlowTwins", "MixWMSE"])
@pytest.mark.parametrize("mixing", [True, False])
def test_rows_are_found_however_a_method_batches_them(method: str, mixing: bool) -> None:
    mixer = {"type": "mixssl.UnMix"} if mixing else None
    head = {"mix_head": tiny.MIX_HEAD} if mixing else {}
    cfg = CONFIGS[method](f"mixssl.{method}", data_preprocessor=tiny.preprocessor(mixer), **head)
    with run_length():
        model = tiny.build(cfg)
        seen: list[tuple[Tensor, Tensor]] = []
        model.backbone.register_forward_hook(
            lambda module, args, output: seen.append((args[0], output[-1].mean((2, 3))))
        )
        tap = BackboneTap(model)
        data = model.data_preprocessor({"inputs": tiny.views(8, 16), "data_samples": None}, True)
        model(**data, mode="loss")
    found = tap.take()
    assert found is not None and found.shape[0] == 8
    batch, features = seen[0]
    rows = [int((batch == image).flatten(1).all(1).nonzero()[0]) for image in data["inputs"][0]]
    assert found.equal(features[rows].detach())


def test_the_figure_is_that_of_its_weights(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, [probe(optimizer={"type": "Adam", "lr": 0.02})], epochs=3)
    runner.train()
    rows = scalars(runner, "probe_top1")
    tested = [row for row in rows if "probe_seconds" in row]
    assert [row["step"] for row in tested] == [1, 2, 3]
    query = Runner.build_dataloader(loader("test", QUERY), seed=0)
    found = extract_features(runner.model, query)
    assert found.labels is not None
    expected = accuracy(classifier(runner)(found.features).argmax(1), found.labels)
    assert tested[-1]["probe_top1"] == pytest.approx(expected)
    trained = [row["probe_top1"] for row in rows if "probe_seconds" not in row]
    assert len(trained) > 0 and all(0 <= value <= 100 for value in trained)


def test_it_learns_from_features_that_stay(tmp_path: Path) -> None:
    still = {"optimizer": {"type": "SGD", "lr": 0.0}}
    same = [{"type": "MultiView", "num_views": 2, "transforms": [[]]}, {"type": "PackInputs"}]
    data = loader("train", 32, batch_size=32)
    data["dataset"]["pipeline"] = same
    learner = probe(query=None, optimizer={"type": "Adam", "lr": 0.1}, log_interval=1)
    changes = {"optim_wrapper": still, "default_hooks": {}, "train_dataloader": data}
    runner = make_runner(tmp_path, [learner], epochs=40, **changes)
    runner.train()
    figures = runner.message_hub.get_scalar("train/probe_top1").data[0]
    assert figures[0] < 30 and figures[-1] > 90


def test_without_images_to_test_on_it_logs_the_training_views(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, [probe(query=None)], epochs=1)
    runner.train()
    assert "val/probe_top1" not in runner.message_hub.log_scalars
    assert "train/probe_top1" in runner.message_hub.log_scalars
    cfg = Config({"knn_query": loader("test", QUERY)})
    runner = make_runner(tmp_path / "b", [probe(query=None)], epochs=1, cfg=cfg)
    runner.train()
    assert "val/probe_top1" in runner.message_hub.log_scalars


def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    hooks = [{"type": "mixssl.ExactResumeHook"}, probe()]
    whole = make_runner(tmp_path / "a", hooks, epochs=3)
    whole.train()
    checkpoint = str(tmp_path / "a" / "epoch_2.pth")
    rest = make_runner(tmp_path / "b", hooks, epochs=3, load_from=checkpoint, resume=True)
    rest.train()
    assert classifier(rest).weight.equal(classifier(whole).weight)
    assert hook_of(rest)._optimizer.state_dict()["state"][0]["step"] == 6  # type: ignore[union-attr]


def test_a_checkpoint_without_a_probe_starts_one(tmp_path: Path) -> None:
    make_runner(tmp_path / "a", [], epochs=1).train()
    checkpoint = str(tmp_path / "a" / "epoch_1.pth")
    runner = make_runner(tmp_path / "b", [probe()], load_from=checkpoint, resume=True)
    runner.train()
    assert hook_of(runner)._optimizer.state_dict()["state"][0]["step"] == 2  # type: ignore[union-attr]


def test_the_best_weights_are_kept(tmp_path: Path) -> None:
    checkpoint = {"type": "CheckpointHook", "interval": 1, "save_best": "probe_top1"}
    make_runner(tmp_path, [probe()], 2, default_hooks={"checkpoint": checkpoint}).train()
    assert len(list(tmp_path.glob("best_probe_top1_epoch_*.pth"))) == 1


class Unlabelled(Hook):
    """Takes the labels out of some samples before the probe sees them."""

    priority = "HIGH"

    def __init__(self, keep: int) -> None:
        self.keep = keep

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        for sample in data_batch["data_samples"][self.keep :]:
            sample.pop("gt_label")


def test_images_without_a_label_do_not_count(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, [Unlabelled(4), probe(query=None, log_interval=9)], epochs=1)
    runner.train()
    figure = runner.message_hub.get_scalar("train/probe_top1").current()
    assert math.isclose(figure * 8 / 100, round(figure * 8 / 100), abs_tol=1e-4)
    assert classifier(runner).bias.abs().sum() > 0


class TestBadInput:
    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"interval": 0}, "interval is 0"),
            ({"log_interval": 0}, "log_interval is 0"),
            ({"tokens": "all"}, "tokens is 'all'"),
        ],
    )
    def test_settings(self, changes: dict, named: str) -> None:
        with pytest.raises(ConfigError, match=named):
            LinearProbeHook(**changes)

    @pytest.mark.parametrize(
        ("hooks", "named"),
        [
            ([Unlabelled(0), probe()], "no image of the first batch has a label"),
            ([probe(num_classes=2)], "there are 2 classes"),
            ([probe(query=loader("test", QUERY, drop_last=True))], "drop_last=False"),
        ],
    )
    def test_data(self, tmp_path: Path, hooks: list, named: str) -> None:
        runner = make_runner(tmp_path, hooks)
        with pytest.raises(ConfigError, match=named) as error:
            runner.train()
        assert "\n" not in str(error.value)

    def test_a_model_that_shows_no_clean_view(self, tmp_path: Path) -> None:
        runner = make_runner(tmp_path, [probe()])

        def darken(module: nn.Module, args: tuple[Tensor]) -> tuple[Tensor]:
            return (args[0] * 0.5,)

        runner.model.backbone.register_forward_pre_hook(darken)
        with pytest.raises(ConfigError, match="no clean view"):
            runner.train()


def rank_weights(rank: int) -> Tensor:
    """Three steps of a probe on this rank's half of every batch."""
    return learned(slice(8 * rank, 8 * rank + 8))


def learned(rows: slice) -> Tensor:
    hook = LinearProbeHook(optimizer={"type": "SGD", "lr": 0.3})
    hook.classes = 3
    g = torch.Generator().manual_seed(0)
    for _ in range(3):
        feature = torch.randn(16, 5, generator=g)
        labels = torch.randint(0, 3, (16,), generator=g)
        labels[:5] = -1  # ranks with unequal numbers of labels
        hook._learn(feature[rows], labels[rows])
    assert hook._classifier is not None
    return torch.cat([hook._classifier.weight.detach().flatten(), hook._counts])


def test_two_ranks_learn_what_one_process_learns() -> None:
    alone = learned(slice(None))
    first, second = run_ranks(rank_weights)
    assert first.equal(second)
    torch.testing.assert_close(first, alone)
    assert alone[-1] == 33


def test_optimizers_of_the_probe_do_not_move_the_models_banks(tmp_path: Path) -> None:
    # The queue and the momentum encoder move at steps of the model's optimizer alone.
    runner = make_runner(tmp_path, [probe()], epochs=1)
    runner.train()
    assert int(runner.model.queue_ptr) == 2 * 16 % 64
