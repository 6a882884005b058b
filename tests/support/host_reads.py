"""Finds where the host reads the device, on a machine that has none; on a GPU by CUDA's own word.

What a batch or a model holds stands for what would lie on the device, and so does all that is computed of it. Draws of
CPU generators don't: they may be read at no cost, and must be sent without waiting.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from support.device import DEVICE as TESTED
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

__all__ = ["host_reads"]

aten = torch.ops.aten
READS = {
    aten._local_scalar_dense,
    aten.equal,
    aten.is_nonzero,
    aten.masked_select,
    aten.nonzero,
    aten._unique2,
    aten.unique_consecutive,
    aten.unique_dim,
}
"""Operations that can't go on before the device has."""
DEVICE = torch.device("cpu", 0)
"""Where what is marked says it lies, so that what is made there can be told from what is made on the host."""


class _Reads(TorchDispatchMode):
    """Notes operations that read what is marked, and marks what is computed of it."""

    def __init__(self, marked: Iterable[Tensor]) -> None:
        super().__init__()
        self.found: list[str] = []
        self.marked = WeakTensorKeyDictionary()
        for tensor in marked:
            self.marked[tensor] = True

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(tensor in self.marked for tensor in tensors):
            masks = func.overloadpacket in (aten.index, aten.index_put_, aten.index_put) and any(
                leaf.dtype == torch.bool for leaf in tree_leaves(args[1]) if leaf is not None
            )
            if masks or func.overloadpacket in READS:
                self.found.append(f"{func.overloadpacket} at {_place()}")
            for leaf in tree_leaves(out):
                if isinstance(leaf, Tensor):
                    self.marked[leaf] = True
        return out


class _Sends(TorchFunctionMode):
    """Notes tensors that are sent from the host and waited for, or made on the device from numbers of the host."""

    def __init__(self, reads: _Reads) -> None:
        super().__init__()
        self.reads = reads

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func == torch.Tensor.device.__get__:  # type: ignore[attr-defined]
            return DEVICE if args[0] in self.reads.marked else out
        if func in (torch.Tensor.tolist, torch.Tensor.cpu, torch.Tensor.numpy):
            if args[0] in self.reads.marked:
                self.reads.found.append(f"{func.__name__} at {_place()}")
        elif any(isinstance(a, torch.device) and a == DEVICE for a in (*args, *kwargs.values())):
            waits = func is torch.Tensor.to and not kwargs.get("non_blocking")
            if (waits and args[0] not in self.reads.marked) or func in (
                torch.tensor,
                torch.as_tensor,
            ):
                self.reads.found.append(f"{func.__name__} waits for a copy at {_place()}")
            if isinstance(out, Tensor) and func is not torch.Tensor.to:
                self.reads.marked[out] = True
        return out


def _place() -> str:
    """The last line of the package, or of what it uses, that asked for it."""
    frames = [
        frame
        for frame in traceback.extract_stack()
        if "mixssl/" in frame.filename or "mmpretrain/" in frame.filename
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"


@contextmanager
def host_reads(*held: Tensor) -> Iterator[list[str]]:
    """Collects, one line each, where the host waits for what is computed of the given tensors.

    Args:
        *held: What would lie on the device: parameters, buffers, images.

    Raises:
        RuntimeError: On a GPU, at the line that waits.
    """
    if TESTED.type == "cuda":
        torch.cuda.synchronize()
        torch.use_deterministic_algorithms(False)  # as in training
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield []
        finally:
            torch.cuda.set_sync_debug_mode("default")
            torch.use_deterministic_algorithms(True, warn_only=True)
        return
    reads = _Reads(held)
    with reads, _Sends(reads):
        yield reads.found
