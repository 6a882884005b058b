"""Checkpoints that mixssl 0.1 wrote load, and training goes on from them as it did then.

In ``checkpoints/v0_1``: ``methods.pt.gz`` has for each of the methods below a config, what a checkpoint held after
four steps, and the losses of the next four; ``run_epoch_1.pth.gz`` is a checkpoint of a whole run, ``run_after.pt.gz``
the model after the epoch that followed. All were written by version 0.1.0 with torch 2.11 on one x86 core.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmpretrain.engine.hooks import SwAVHook
from support.clusters import IMAGES, samples
from support.grid import BATCH, SIZE
from support.methods_more import run_length
from support.tiny import DIM, build, sgd, total, views
from support.tools import ROOT, call_tool
from torch import Tensor

DATA = Path(__file__).parent / "checkpoints" / "v0_1"
STOP, STEPS = 4, 8


def _read(name: str, weights_only: bool = True) -> Any:
    raw = io.BytesIO(gzip.decompress((DATA / name).read_bytes()))
    return torch.load(raw, weights_only=weights_only)


METHODS = _read("methods.pt.gz")


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length(STEPS):
        yield


@pytest.mark.parametrize("name", METHODS)
def test_a_method_goes_on_from_an_older_checkpoint(name: str) -> None:
    """State bit by bit, losses up to the rounding of another CPU."""
    old = METHODS[name]
    model = build(old["config"], seed=1)
    model.load_state_dict(old["state_dict"], strict=True)
    found = model.state_dict()
    assert found.keys() == old["state_dict"].keys()
    assert all(torch.equal(found[key], value) for key, value in old["state_dict"].items())
    optimizer = sgd(model)
    optimizer.load_state_dict(old["optimizer"])
    if old["swav_queue"] is not None:
        _give_queue(model, old["swav_queue"])
    for step, expected in enumerate(old["losses"], start=STOP):
        data = {"inputs": _views(old["widths"], step), "data_samples": _places(step)}
        losses = model(**model.data_preprocessor(data, True), mode="loss")
        assert losses.keys() == expected.keys()
        for key, value in losses.items():
            assert value.item() == pytest.approx(expected[key], rel=1e-4, abs=1e-6), (step, key)
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()


def _views(widths: list[float], step: int) -> list[Tensor]:
    return [
        views(BATCH, int(SIZE * width), seed=10 * step + number, count=1)[0]
        for number, width in enumerate(widths)
    ]


def _places(step: int) -> list[Any]:
    return samples((step * BATCH + row) % IMAGES for row in range(BATCH))


def _give_queue(model: Any, queue: Tensor) -> None:
    """mmpretrain's hook keeps SwAV's queue in a file of its own."""
    hook = SwAVHook(batch_size=BATCH, epoch_queue_starts=0, feat_dim=DIM, queue_length=16)
    runner = SimpleNamespace(model=model, work_dir="", world_size=1, iter=0, epoch=2)
    hook.before_run(runner)
    hook.before_train_epoch(runner)
    model.head.loss_module.queue = queue.clone()


def test_a_run_goes_on_from_an_older_checkpoint(tmp_path: Path) -> None:
    """By tools/train.py --resume: weights, queue, optimizer, schedule, order of the images, augmentations, draws."""
    checkpoint = tmp_path / "epoch_1.pth"
    checkpoint.write_bytes(gzip.decompress((DATA / "run_epoch_1.pth.gz").read_bytes()))
    config = tmp_path / "run.py"
    config.write_text(RUN.format(base=str(ROOT / "configs/demo/unmix_mocov2_r18_digits.py")))
    assert call_tool("train", config, "--work-dir", tmp_path / "run", "--resume", checkpoint) == 0
    after = torch.load(tmp_path / "run" / "epoch_2.pth", weights_only=False)["state_dict"]
    expected = _read("run_after.pt.gz")
    assert after.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(after[key], value, rtol=1e-3, atol=1e-4, msg=key)


RUN = """
_base_ = [{base!r}]
experiment_name = '{{{{$TEST_RUN:test}}}}'
model = dict(
    queue_len=64, feat_dim=8, backbone=dict(stem_channels=2, base_channels=2),
    neck=dict(in_channels=16, hid_channels=8, out_channels=8))
train_dataloader = dict(
    batch_size=16, num_workers=0, persistent_workers=False, dataset=dict(indices=160))
train_cfg = dict(max_epochs=2)
default_hooks = dict(
    checkpoint=dict(interval=1, max_keep_ckpts=-1), logger=dict(interval=2),
    graceful_stop=dict(interval=2))
randomness = dict(seed=3)
"""
