"""What a run on several devices asks for: the model and the batch as they are without, collectives with a gradient.

DistributedDataParallel averages the parameters' gradients over W devices. A loss that couples the rows of all devices
is therefore right if each device's rows receive the sum of all devices' gradients: the average of those is the gradient
of the average of the devices' losses, as one process on the whole batch has it.
"""

from typing import Any

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.utils.data import DataLoader


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside a distributed wrapper, or the model itself."""
    inner: nn.Module = model.module if is_model_wrapper(model) else model  # type: ignore[assignment]
    return inner


def batch_size(loader: DataLoader) -> int:
    """Images in a batch of one process; 0 where a loader has no fixed number."""
    return loader.batch_size or getattr(loader.batch_sampler, "batch_size", None) or 0


def total_batch(loader: DataLoader) -> int:
    """Images in a step of all processes together; 0 where a loader has no fixed number."""
    return batch_size(loader) * get_world_size()


def gather_rows(rows: Tensor) -> Tensor:
    """Joins the rows of all devices, with gradient for those of every device.

    Args:
        rows: (N, ...), N the same on all W devices.

    Returns:
        (W * N, ...), those of device r from row r * N on; the argument itself where there is one device.
    """
    return _GatherRows.apply(rows) if get_world_size() > 1 else rows


def sum_over_devices(values: Tensor) -> Tensor:
    """Adds a tensor up over all devices, with gradient.

    Args:
        values: Of the same shape on all devices; not modified.

    Returns:
        The sum, the same on all devices; the argument itself where there is one device.
    """
    return _SumOverDevices.apply(values) if get_world_size() > 1 else values


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        return torch.cat(all_gather(rows.contiguous()), dim=0)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _summed(grad).chunk(get_world_size(), dim=0)[get_rank()]


class _SumOverDevices(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _summed(grad)


def _summed(values: Tensor) -> Tensor:
    """A sum over devices in a tensor of its own; the collective works in place."""
    total = values.clone(memory_format=torch.contiguous_format)
    all_reduce(total)
    return total
