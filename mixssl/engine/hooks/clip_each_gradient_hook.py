"""Clips gradients parameter by parameter."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mixssl.registry import HOOKS
from mixssl.utils.errors import require


@HOOKS.register_module()
class ClipEachGradientHook(Hook):
    """Scales the gradient of each parameter down to a norm by itself, as DINO's code does (Caron et al. 2021).

    mmengine's ``clip_grad`` measures the norm of all gradients together. This runs right before the optimizer steps,
    behind a gradient scaler, and waits for nothing.

    Args:
        max_norm: > 0; DINO's is 3.0.

    Raises:
        ValueError: If it is not.
    """

    def __init__(self, max_norm: float = 3.0) -> None:
        require("> 0", self, max_norm=max_norm)
        self.max_norm = max_norm
        self._handle: Any = None

    def before_train(self, runner: Runner) -> None:
        """Listens to the optimizer."""
        optimizer = runner.optim_wrapper.optimizer
        self._handle = optimizer.register_step_pre_hook(self._clip)

    def after_train(self, runner: Runner) -> None:
        """Stops listening."""
        self._handle.remove()

    @torch.no_grad()
    def _clip(self, optimizer: torch.optim.Optimizer, args: Sequence, kwargs: dict) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        gradients: list[Tensor] = [p.grad for p in parameters if p.grad is not None]
        if gradients:
            norms = torch.stack(torch._foreach_norm(gradients))
            factors = (self.max_norm / (norms + 1e-6)).clamp_max(1.0)
            torch._foreach_mul_(gradients, list(factors))
