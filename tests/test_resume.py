"""Save, resume and run on: bit by bit the run that nobody interrupted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner.checkpoint import get_state_dict, load_checkpoint, save_checkpoint
from mmpretrain.engine.hooks import SwAVHook
from support.clusters import IMAGES, samples, start
from support.grid import BATCH, SIZE, config
from support.methods_more import run_length
from support.tiny import DIM, build, preprocessor, sgd, total, views
from support.tools import load_tool
from torch import Tensor

GRID = load_tool("grid", "docs")
PAIRS = {
    "MoCo": ("MixMoCo", "Un-Mix"),
    "MoCo, several sizes": ("MixMoCo", "Un-Mix, multi-scale"),
    "MoCo, ManifoldMix": ("MixMoCo", "ManifoldMix"),
    "MoCo, MoCHi": ("MixMoCo", "MoCHi beside Un-Mix"),
    "MoCo, local/global 1": ("MixMoCo", "local/global CutMix 1"),
    "MoCo, local/global 2": ("MixMoCo", "local/global CutMix 2"),
    "MoCo, AMix-C": ("MixMoCo", "AMix-C"),
    "MoCo, Inter-Intra": ("MixMoCo", "Inter-Intra, by clusters"),
    "MoCo, two mixtures": ("MixMoCo", "Un-Mix and ScaleMix"),
    "MoCo v3": ("MixMoCoV3", "MixCo"),
    "Barlow Twins, blended": ("MixBarlowTwins", "Mixed Barlow Twins"),
    "DINO": ("MixDINO", "Un-Mix"),
    "DenseCL": ("MixDenseCL", "MixCo"),
    "BYOL": ("MixBYOL", "Un-Mix, Algorithm 1"),
    "BYOL, local/global 2": ("MixBYOL", "local/global CutMix 2"),
    "Distillation": ("MixDistill", "CutMix, seen by a teacher"),
    "SwAV": ("MixSwAV", "Un-Mix"),
    "W-MSE": ("MixWMSE", "Un-Mix"),
}
"""Methods and recipes with everything that a checkpoint must hold: momentum copies, queues, counters, random states."""
STEPS, STOP = 8, 4


class Run:
    """A model with its optimizer and, if it is SwAV, the hook that keeps its queue; an epoch has two steps."""

    def __init__(self, name: str, folder: Path, seed: int) -> None:
        method, recipe_name = PAIRS[name]
        recipe = next(r for r in GRID.RECIPES if r.name == recipe_name)
        cfg = config(method, recipe.mixer, recipe.head, recipe.model)
        # Without a seed in the config the run's own counts, which only the checkpoint knows.
        cfg["data_preprocessor"] = preprocessor(recipe.mixer, seed=None)
        if "mix_block" in cfg:
            # It drops out by torch's global generator, whose state is the business of ExactResumeHook.
            cfg["mix_block"] = cfg["mix_block"] | {"dropout": 0.0}
        self.widths = recipe.widths
        self.model = build(cfg, seed)
        start(self.model, seed)
        self.optimizer = sgd(self.model)
        self.runner = SimpleNamespace(
            model=self.model, work_dir=str(folder), world_size=1, iter=0, epoch=0
        )
        self.hook = None
        if method == "MixSwAV":
            self.hook = SwAVHook(
                batch_size=BATCH, epoch_queue_starts=0, feat_dim=DIM, queue_length=16
            )
            self.hook.before_run(self.runner)

    def steps(self, steps: Iterable[int]) -> list[dict[str, Tensor]]:
        """Trains and returns each step's losses."""
        losses = []
        for step in steps:
            self.runner.epoch = step // 2
            if self.hook and step % 2 == 0:
                self.hook.before_train_epoch(self.runner)
            places = samples((step * BATCH + row) % IMAGES for row in range(BATCH))
            data = {"inputs": self._views(step), "data_samples": places}
            found = self.model(**self.model.data_preprocessor(data, True), mode="loss")
            self.optimizer.zero_grad()
            total(found).backward()
            self.optimizer.step()
            losses.append({name: value.detach() for name, value in found.items()})
            if self.hook and step % 2 == 1:
                self.hook.after_train_epoch(self.runner)
        return losses

    def _views(self, step: int) -> list[Tensor]:
        return [
            views(BATCH, int(SIZE * width), seed=10 * step + number, count=1)[0]
            for number, width in enumerate(self.widths)
        ]

    def save(self, path: Path) -> None:
        """Writes what mmengine's Runner writes of model and optimizer."""
        state = {
            "state_dict": get_state_dict(self.model),
            "optimizer": self.optimizer.state_dict(),
            "meta": {},
        }
        save_checkpoint(state, str(path))

    def resume(self, path: Path, without: str | None = None) -> None:
        """Reads it back, all but the tensors whose names begin with ``without``."""
        if without is not None:
            checkpoint = torch.load(path, weights_only=False)
            state = checkpoint["state_dict"]
            left_out = [name for name in state if name.startswith(without)]
            assert left_out
            for name in left_out:
                del state[name]
            torch.save(checkpoint, path)
        checkpoint = load_checkpoint(self.model, str(path), "cpu", strict=without is None)
        self.optimizer.load_state_dict(checkpoint["optimizer"])


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length(STEPS):
        yield


def _interrupted(name: str, folder: Path, without: str | None = None) -> tuple[Run, list]:
    """Stops half way, and goes on in a model that began with other weights and another seed."""
    first = Run(name, folder, seed=0)
    losses = first.steps(range(STOP))
    first.save(folder / "checkpoint.pth")
    second = Run(name, folder, seed=1)
    second.resume(folder / "checkpoint.pth", without)
    return second, losses + second.steps(range(STOP, STEPS))


def _equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("name", PAIRS)
def test_a_resumed_run_is_the_uninterrupted_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "halves").mkdir()
    whole = Run(name, tmp_path / "whole", seed=0)
    expected = whole.steps(range(STEPS))
    resumed, losses = _interrupted(name, tmp_path / "halves")
    for step, (found, wanted) in enumerate(zip(losses, expected, strict=True)):
        assert _equal(found, wanted), step
    assert _equal(resumed.model.state_dict(), whole.model.state_dict())
    for one, other in zip(
        resumed.optimizer.state.values(), whole.optimizer.state.values(), strict=True
    ):
        assert torch.equal(one["momentum_buffer"], other["momentum_buffer"])
    if whole.hook is not None:
        queues = [run.model.head.loss_module.queue for run in (resumed, whole)]
        assert queues[0].any() and torch.equal(*queues)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("MoCo", "data_preprocessor.random"),
        ("MoCo", "queue"),
        ("MoCo", "encoder_k"),
        ("MoCo, several sizes", "queue_12"),
        ("MoCo, MoCHi", "hard_negatives"),
        ("MoCo, local/global 2", "queue_local"),
        ("MoCo, local/global 2", "region_neck_k"),
        ("BYOL", "target_net"),
        ("BYOL", "data_preprocessor.random"),
        ("SwAV", "data_preprocessor.random"),
        ("W-MSE", "orders"),
    ],
)
def test_nothing_of_it_can_be_left_out(name: str, part: str, tmp_path: Path) -> None:
    """A run that lost a part of its state is another run: the test above would see it."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "halves").mkdir()
    expected = Run(name, tmp_path / "whole", seed=0).steps(range(STEPS))
    _, losses = _interrupted(name, tmp_path / "halves", without=part)
    assert all(map(_equal, losses[:STOP], expected[:STOP]))
    assert not all(map(_equal, losses[STOP:], expected[STOP:]))
