"""A short self-supervised run on handwritten digits: the block leaves the constant mask it starts with, and it pays."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch
from support.amix import BLOCK, amix
from support.methods_more import run_length
from support.tiny import WIDTH, backbone, build, moco, total
from torch import Tensor
from torch.nn import functional as F

from mixssl.datasets import Digits

STEPS = 200


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def _digits(split: str) -> Tensor:
    """All images of a split, normalised, (N, 3, 16, 16)."""
    data = Digits(split=split)
    images = [torch.from_numpy(data[i]["img"]).permute(2, 0, 1) for i in range(len(data))]
    return (torch.stack(images) - 79.731) / 90.518


def _view(images: Tensor, generator: torch.Generator) -> Tensor:
    """Random crops."""
    size = len(images)
    grid = torch.zeros(size, 2, 3)
    grid[:, 0, 0] = grid[:, 1, 1] = 0.6 + 0.5 * torch.rand(size, generator=generator)
    grid[:, :, 2] = 0.5 * (torch.rand(size, 2, generator=generator) - 0.5)
    flow = F.affine_grid(grid, list(images.shape), align_corners=False)
    return F.grid_sample(images, flow, align_corners=False, padding_mode="border")


def _train(model: Any, images: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    block = [*model.mix_block.parameters()]
    own = {id(p) for p in block}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in own]
    optimizer = torch.optim.Adam([{"params": rest}, {"params": block, "lr": 0.01}], lr=0.003)
    for _ in range(STEPS):
        rows = torch.randperm(len(images), generator=generator)[:64]
        inputs = [_view(images[rows], generator) for _ in range(2)]
        data = model.data_preprocessor({"inputs": inputs, "data_samples": None}, True)
        loss = total(model(**data, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _look(model: Any, block: Any, images: Tensor) -> dict[str, float]:
    """What a block's mixtures of test images are like, judged by the same encoder; the same mixtures each time."""
    model, generator = deepcopy(model).eval(), torch.Generator().manual_seed(1)
    model.mix_block = deepcopy(block).eval()
    inputs = [_view(images, generator) for _ in range(2)]
    drawn = model.data_preprocessor.mixer(inputs, generator)
    mixture = model.render_mixtures(inputs, drawn)[1]
    with torch.no_grad():
        losses = model(inputs=inputs, mode="loss", mixtures=drawn)
    mean = mixture.mask.mean((1, 2, 3))
    return {
        "loss": losses["loss_block"].item(),
        "two-way": losses["loss_block_two_way"].item(),
        "follows λ": torch.corrcoef(torch.stack([mean, mixture.lam]))[0, 1].item(),
        "spread": mixture.mask.flatten(1).std(1).mean().item(),
    }


def test_the_block_leaves_the_constant_mask_and_its_losses_fall() -> None:
    wide = backbone(base_channels=2 * WIDTH, stem_channels=2 * WIDTH)
    cfg = amix(moco, backbone=wide, momentum=0.02, queue_len=512)
    cfg["neck"]["in_channels"] = 16 * WIDTH
    cfg["mix_block"] = BLOCK | {"in_channels": 8 * WIDTH}
    cfg["data_preprocessor"]["mixer"]["per_sample"] = True
    model = build(cfg)
    untrained = deepcopy(model.mix_block)
    _train(model, _digits("train"))
    images = _digits("test")
    before, after = (_look(model, block, images) for block in (untrained, model.mix_block))
    assert before["spread"] < 1e-3 and abs(before["follows λ"]) < 0.4, before
    assert after["spread"] > 0.02 and after["follows λ"] > 0.5, after
    assert after["loss"] < before["loss"] - 0.03, (before, after)
    assert after["two-way"] < before["two-way"] - 0.03, (before, after)
