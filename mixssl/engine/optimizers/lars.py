"""LARS without a loop over parameters."""

from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from mmpretrain.engine.optimizers import LARS as _LARS
from torch import Tensor

from mixssl.registry import OPTIMIZERS

Tensors: TypeAlias = list[Tensor] | tuple[Tensor, ...]


@OPTIMIZERS.register_module()
class LARS(_LARS):
    """mmpretrain's LARS (You et al. 2017) for all parameters of a group at once; its state is the same.

    mmpretrain's reads two norms of every parameter back from the device at every step, 322 times for a ResNet-50. Here
    rates stay on the device, in single precision where mmpretrain has them in double: steps differ by rounding.

    Arguments are mmpretrain's.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """Takes a step.

        Args:
            closure: Computes the loss anew.

        Returns:
            What the closure returned.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step_group(group, params)
        return loss

    def _step_group(self, group: dict[str, Any], params: list[Tensor]) -> None:
        """Moves the parameters of a group that have a gradient."""
        grads = [p.grad for p in params if p.grad is not None]
        rates = [] if group.get("lars_exclude", False) else self._rates(group, params, grads)
        change: Tensors = torch._foreach_add(grads, params, alpha=group["weight_decay"])
        torch._foreach_mul_(change, rates or group["lr"])
        if group["momentum"]:
            change = self._smoothed(group, params, change)
        torch._foreach_sub_(params, change)

    def _rates(
        self, group: dict[str, Any], params: list[Tensor], grads: list[Tensor]
    ) -> list[Tensor]:
        """Learning rate of each parameter, ()."""
        weight, grad = (torch.stack(torch._foreach_norm(part)) for part in (params, grads))
        trust = group["eta"] * weight / (grad + group["weight_decay"] * weight + self.eps)
        trust = torch.where((weight != 0) & (grad != 0), trust, 1.0)
        return list((trust * group["lr"]).unbind())

    def _smoothed(self, group: dict[str, Any], params: list[Tensor], change: Tensors) -> Tensors:
        """Changes with momentum; the first of a parameter is its own."""
        momentum = group["momentum"]
        known = [i for i, p in enumerate(params) if "momentum_buffer" in self.state[p]]
        for i in set(range(len(params))) - set(known):
            self.state[params[i]]["momentum_buffer"] = change[i].clone()
        buffers = [self.state[p]["momentum_buffer"] for p in params]
        if known:
            moved = [buffers[i] for i in known]
            torch._foreach_mul_(moved, momentum)
            torch._foreach_add_(moved, [change[i] for i in known], alpha=1 - group["dampening"])
        if group["nesterov"]:
            return torch._foreach_add(change, buffers, alpha=momentum)
        return buffers
