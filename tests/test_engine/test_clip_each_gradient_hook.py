"""Gradients are scaled one by one, right before the step, behind a gradient scaler too."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.testing import assert_close

from mixssl.engine.hooks import ClipEachGradientHook


@pytest.mark.parametrize("scaled", [False, True])
def test_each_gradient_by_itself(scaled: bool) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    optimizer = torch.optim.SGD(parameters, lr=1.0)
    hook = ClipEachGradientHook(max_norm=1.0)
    runner = SimpleNamespace(optim_wrapper=SimpleNamespace(optimizer=optimizer))
    hook.before_train(runner)
    scaler = torch.amp.GradScaler("cpu", enabled=scaled, init_scale=64.0)
    loss = parameters[0] @ torch.tensor([3.0, 4.0]) + parameters[1] @ torch.tensor([0.3, 0.4])
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    assert_close(parameters[0].data, torch.tensor([-0.6, -0.8]))
    assert_close(parameters[1].data, torch.tensor([-0.3, -0.4]))
    assert parameters[2].grad is None
    hook.after_train(runner)
    parameters[0].grad.fill_(3.0)
    optimizer.step()
    assert_close(parameters[0].data, torch.tensor([-3.6, -3.8]))


def test_a_norm_that_clips_nothing_away() -> None:
    with pytest.raises(ValueError, match="max_norm of ClipEachGradientHook is 0 and must be > 0"):
        ClipEachGradientHook(max_norm=0)
