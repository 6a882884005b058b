"""Mixed precision in bfloat16, on a GPU or a CPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mixssl.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class BFloat16OptimWrapper(OptimWrapper):
    """Steps of which the forward pass runs under autocast in bfloat16; parameters and their steps stay in float32.

    bfloat16 has float32's range: no loss is scaled, and nothing is read back from the device. mmengine's
    ``AmpOptimWrapper`` carries a scaler along for every format and refuses CPUs, though many of them are faster in it.
    Arguments are those of mmengine's ``OptimWrapper``.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Has what runs inside computed in bfloat16 where autocast holds that to be safe.

        Args:
            model: Whose device autocast is for; of a wrapper, gradients are exchanged when they are due.
        """
        device = next(model.parameters()).device
        with super().optim_context(model), torch.autocast(device.type, torch.bfloat16):
            yield
