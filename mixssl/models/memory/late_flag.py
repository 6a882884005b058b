"""Asking the device a question and taking the answer when it has long been there."""

import torch
from torch import Tensor


class LateFlag:
    """A flag of the device that is read later, so that reading it does not stall the device.

    Args:
        flag: A truth value, (), bool; copied to the host while the device goes on.
    """

    def __init__(self, flag: Tensor) -> None:
        self._there: torch.cuda.Event | None = None
        self._flag = flag
        if flag.is_cuda:
            self._flag = torch.empty((), dtype=torch.bool, pin_memory=True)
            self._flag.copy_(flag, non_blocking=True)
            self._there = torch.cuda.Event()
            self._there.record()

    def read(self) -> bool:
        """Its value; waits for the device if it has not got that far."""
        if self._there is not None:
            self._there.synchronize()
        return bool(self._flag)
