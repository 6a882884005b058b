"""What methods with a momentum encoder share."""

from __future__ import annotations

from mmengine.logging import MessageHub
from mmengine.model import BaseAveragedModel
from torch import Tensor, nn

from mixssl.models.methods.base import MixtureMethod

__all__ = ["CosineMomentum", "check_cosine_momentum"]


class CosineMomentum(MixtureMethod):
    """A method whose momentum encoder is mmpretrain's CosineEMA.

    The encoder moves once per optimizer step, with the momentum that the cosine has at the current iteration: its
    ``steps`` buffer goes on counting forward passes, as the parent's does, so that under gradient accumulation too the
    cosine ends with the run.

    Raises:
        ValueError: In training, if the length of the run is unknown.
    """

    _passes = 0

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views are missing or the momentum's course is unknown."""
        super().check_batch(inputs)
        if self.training:
            check_cosine_momentum(self)

    def step_momentum(self) -> None:
        """Counts the forward passes; for the rest as the template."""
        self._passes += 1
        super().step_momentum()

    def move(self, encoder: BaseAveragedModel) -> None:
        """Moves a momentum encoder towards backbone and neck."""
        if self._passes > 1:
            encoder.steps += self._passes - 1
        self._passes = 0
        encoder.update_parameters(nn.Sequential(self.backbone, self.neck))


def check_cosine_momentum(method: nn.Module) -> None:
    """Raises a ValueError where the length of the run is unknown, which mmpretrain's CosineEMA divides by.

    Momentum goes from its start to its end along half a cosine over ``max_iters`` of mmengine's MessageHub. A Runner
    sets ``max_iters``, which counts forward passes; :class:`CosineMomentum` goes along it by those.
    """
    if not MessageHub.get_current_instance().runtime_info.get("max_iters"):
        raise ValueError(
            f"{type(method).__name__} moves its momentum along a cosine over max_iters and MessageHub has none: train "
            "with mmengine's Runner, or call MessageHub.get_current_instance().update_info('max_iters', steps)"
        )
