"""What a recipe adds to a training step beyond views and terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from torch import Tensor

from mixssl.structures import AnyTerm, EmbeddingId, Step, View

if TYPE_CHECKING:
    from mixssl.models.methods import MixtureMethod


class Part:
    """A part that a model has or has not: the moments of a step at which it may act, each of which does nothing here.

    A method has a list of parts, empty for most. A part's modules are registered on the method, so that its checkpoints
    hold them; the part itself holds no tensor. The moments are listed in the order in which a step passes them; see
    :meth:`~mixssl.models.methods.MixtureMethod.loss`.
    """

    def finish_mixtures(self, method: MixtureMethod, step: Step) -> None:
        """Finishes mixtures that wait for what only the model knows, before terms are made of them."""

    def adjust_terms(
        self, method: MixtureMethod, step: Step, terms: list[AnyTerm]
    ) -> list[AnyTerm]:
        """Adds terms of its own, or takes aside those that the encoder is not to learn from."""
        return terms

    def update_momentum(self, method: MixtureMethod) -> None:
        """Moves a momentum encoder of its own, right after the method's has moved."""

    def around_targets(self, method: MixtureMethod, step: Step) -> AbstractContextManager[None]:
        """Surrounds the encoding of targets: the moment between the momentum encoder's move and the mixtures."""
        return nullcontext()

    def embed(
        self, method: MixtureMethod, view: View, maps: Any, online: bool
    ) -> dict[EmbeddingId, Tensor]:
        """Adds embeddings of a view, from what a backbone has made of it: the online one, or that of the targets."""
        return {}

    def losses(self, method: MixtureMethod, step: Step) -> dict[str, Tensor]:
        """Losses beside those of the terms; all embeddings of the step are there."""
        return {}

    def after_optimizer_step(self) -> None:
        """Writes what a step has staged, once the optimizer has stepped."""


@contextmanager
def teacher_in_place(method: MixtureMethod) -> Iterator[None]:
    """Has backbone and neck of the teacher take the place of the online ones."""
    own = {"backbone": method.backbone, "neck": method.neck}
    teacher = method.teacher
    assert teacher is not None
    try:
        for name, module in zip(own, teacher.module, strict=True):
            setattr(method, name, module)
        yield
    finally:
        for name, module in own.items():
            setattr(method, name, module)
