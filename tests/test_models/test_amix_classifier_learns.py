"""A short run on handwritten digits: the encoder learns them, and the block learns to mix them by λ."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.runner.checkpoint import get_state_dict, load_checkpoint, save_checkpoint
from mmpretrain.structures import DataSample
from support.classifiers import amix, labelled
from support.methods_more import run_length
from support.tiny import backbone, build, sgd, total
from torch import Tensor

from mixssl.datasets import Digits
from mixssl.mixing import StepRandom

WIDTH, STEPS = 8, 120
SHAPES = {
    "backbone": backbone(base_channels=WIDTH, stem_channels=WIDTH),
    "head": {"type": "mmpretrain.LinearClsHead", "num_classes": 10, "in_channels": 8 * WIDTH},
    "mix_block": {"type": "mixssl.MixBlockPlus", "in_channels": 4 * WIDTH, "adjust": False},
}


def _digits(split: str) -> tuple[Tensor, Tensor]:
    """All images of a split, normalised, and their labels."""
    data = Digits(split=split)
    samples = [data[i] for i in range(len(data))]
    images = torch.stack([torch.from_numpy(sample["img"]).permute(2, 0, 1) for sample in samples])
    labels = torch.tensor([sample["gt_label"] for sample in samples])
    return (images - 79.731) / 90.518, labels


def _samples(labels: Tensor) -> list[DataSample]:
    return [DataSample().set_gt_label(label) for label in labels]


def _train(model: Any, images: Tensor, labels: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=3e-3)
    for _ in range(STEPS):
        rows = torch.randint(len(images), (64,), generator=generator)
        losses = model.loss(images[rows], _samples(labels[rows]))
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()


def _look(model: Any, images: Tensor, labels: Tensor) -> dict[str, float]:
    """Of the block's mixtures of test images, the same each time: its loss, and what its masks are like."""
    model = deepcopy(model).eval()
    model.random = StepRandom(1)
    with torch.no_grad():
        loss = model.loss(images, _samples(labels))["loss_block_ce"]
        drawn = model.mixer([images], StepRandom(1)())
        mixture = model.render_mixtures([images], drawn)[1]
    mean = mixture.mask.mean((1, 2, 3))
    return {
        "loss": loss.item(),
        "follows λ": torch.corrcoef(torch.stack([mean, mixture.lam]))[0, 1].item(),
        "spread": mixture.mask.flatten(1).std(1).mean().item(),
    }


@pytest.mark.slow
def test_the_block_leaves_the_constant_and_the_encoder_learns() -> None:
    images, labels = _digits("train")
    test_images, test_labels = _digits("test")
    with run_length(STEPS):
        model = build(amix(**SHAPES, base_momentum=0.05, per_sample=True))
        untrained = deepcopy(model.mix_block)
        _train(model, images, labels)
        after = _look(model, test_images, test_labels)
        trained, model.mix_block = model.mix_block, untrained
        before = _look(model, test_images, test_labels)
    assert before["spread"] < 1e-4 and abs(before["follows λ"]) < 0.4, before
    assert after["spread"] > 20 * before["spread"] and after["follows λ"] > 0.6, after
    assert after["loss"] < before["loss"] - 0.01, "judged by the same momentum encoder"
    assert 0 < trained.encoding.lam_gamma <= 1
    model.eval()
    for head in (model.head, model.mixed_head):
        with torch.no_grad():
            predicted = head(model.extract_feat(test_images)).argmax(1)
        assert (predicted == test_labels).float().mean() > 0.8


class _Run:
    """A model and its optimizer, with a momentum encoder that moves and a seed that only a checkpoint knows."""

    def __init__(self, seed: int) -> None:
        self.model = build(amix(seed=None, base_momentum=0.5), seed)
        self.optimizer = sgd(self.model)

    def steps(self, steps: range) -> list[dict[str, Tensor]]:
        history = []
        for step in steps:
            losses = self.model(**labelled(seed=step), mode="loss")
            self.optimizer.zero_grad()
            total(losses).backward()
            self.optimizer.step()
            history.append({name: value.detach() for name, value in losses.items()})
        return history

    def save(self, path: Path) -> None:
        state = {"state_dict": get_state_dict(self.model), "optimizer": self.optimizer.state_dict()}
        save_checkpoint(state | {"meta": {}}, str(path))

    def resume(self, path: Path) -> None:
        checkpoint = load_checkpoint(self.model, str(path), "cpu", strict=True)
        self.optimizer.load_state_dict(checkpoint["optimizer"])


@pytest.fixture
def _known_length() -> Iterator[None]:
    with run_length(8):
        yield


@pytest.mark.usefixtures("_known_length")
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = _Run(0)
    expected = whole.steps(range(8))
    first = _Run(0)
    found = first.steps(range(4))
    first.save(tmp_path / "checkpoint.pth")
    second = _Run(1)
    second.resume(tmp_path / "checkpoint.pth")
    found += second.steps(range(4, 8))
    for step, (a, b) in enumerate(zip(expected, found, strict=True)):
        assert all(torch.equal(value, b[name]) for name, value in a.items()), step
    ours, theirs = whole.model.state_dict(), second.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
