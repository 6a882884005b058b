"""What methods with a momentum encoder share."""

from __future__ import annotations

from torch import Tensor, nn

from mixssl.models.methods.averaging import FusedEMA
from mixssl.models.methods.base import MixtureMethod
from mixssl.models.methods.cosine import check_cosine_momentum, move_along_cosine

__all__ = ["CosineMomentum"]


class CosineMomentum(MixtureMethod):
    """A method whose momentum encoder is a cosine average.

    The encoder moves once per optimizer step, with the momentum that the cosine has at the current iteration.

    Raises:
        ValueError: In training, if the length of the run is unknown.
    """

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views are missing or the momentum's course is unknown."""
        super().check_batch(inputs)
        if self.training:
            check_cosine_momentum(self)

    def move(self, encoder: FusedEMA) -> None:
        """Moves a momentum encoder towards backbone and neck."""
        move_along_cosine(encoder, nn.Sequential(self.backbone, self.neck), self.passes)
