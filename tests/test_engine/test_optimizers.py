"""Optimizers that step all parameters at once."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmpretrain.engine import optimizers as upstream
from support.methods_more import run_length
from support.tiny import build, moco, views
from torch import Tensor

from mixssl.engine.optimizers import LARS


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def _losses(optimizer: dict, steps: int = 4) -> list[Tensor]:
    model = build(moco(mixer={"type": "mixssl.UnMix"}))
    cfg = {"type": "OptimWrapper", "optimizer": optimizer}
    wrapper = build_optim_wrapper(model, cfg)
    losses = []
    for step in range(steps):
        torch.manual_seed(step)
        data = {"inputs": views(seed=step), "data_samples": None}
        losses.append(model.train_step(data, wrapper)["loss"].detach())
    return losses


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_a_fused_optimizer_changes_losses_by_rounding(kind: str) -> None:
    optimizer = {"type": kind, "lr": 0.01, "weight_decay": 1e-4}
    torch.testing.assert_close(
        _losses(optimizer | {"fused": True}), _losses(optimizer), rtol=1e-4, atol=0
    )


def test_our_lars_changes_losses_by_rounding() -> None:
    optimizer = {"lr": 0.3, "momentum": 0.9, "weight_decay": 1e-4}
    ours, theirs = (
        _losses(optimizer | {"type": f"{scope}.LARS"}) for scope in ("mixssl", "mmpretrain")
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=0)


@pytest.mark.parametrize("nesterov", [False, True])
def test_lars_steps_as_mmpretrains(nesterov: bool) -> None:
    """Excluded groups, weights of zero, parameters without a gradient or with one later, and resuming."""

    def parameters() -> list[dict[str, Any]]:
        generator = torch.Generator().manual_seed(0)
        make = [torch.randn(n, 3, generator=generator).requires_grad_() for n in (1, 4, 5, 2)]
        make.append(torch.zeros(3, requires_grad=True))
        excluded = {"params": [torch.ones(3, requires_grad=True)], "lars_exclude": True}
        return [{"params": make[:2]}, {"params": make[2:], "lars_exclude": False}, excluded]

    settings = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.01, "nesterov": nesterov}
    ours, theirs = LARS(parameters(), **settings), upstream.LARS(parameters(), **settings)
    for step in range(6):
        generator = torch.Generator().manual_seed(step)
        for groups in zip(ours.param_groups, theirs.param_groups, strict=True):
            for place, pair in enumerate(zip(*(g["params"] for g in groups), strict=True)):
                gradient = torch.randn(pair[0].shape, generator=generator)
                late = place == 1 and step < 2
                for parameter in pair:
                    parameter.grad = None if late else gradient.clone()
        ours.step()
        theirs.step()
        for groups in zip(ours.param_groups, theirs.param_groups, strict=True):
            for own, other in zip(*(g["params"] for g in groups), strict=True):
                torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-7)
        if step == 3:
            ours.load_state_dict(copy.deepcopy(theirs.state_dict()))


def test_lars_by_hand() -> None:
    """Trust ratio 0.001 * 5 / (10 + 0.1 * 5) of a weight (3, 4) and a gradient (6, 8), learning rate 2."""
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    weight.grad = torch.tensor([6.0, 8.0])
    LARS([weight], lr=2.0, weight_decay=0.1, eta=0.001).step()
    rate = 2 * 0.001 * 5 / (10 + 0.1 * 5 + 1e-8)
    expected = torch.tensor([3 - rate * (6 + 0.3), 4 - rate * (8 + 0.4)])
    torch.testing.assert_close(weight.detach(), expected)
