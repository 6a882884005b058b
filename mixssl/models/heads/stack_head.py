"""Label assignment for several mixtures in a step: each by a head of its own."""

from collections.abc import Sequence
from typing import Any

from mixssl.mixing import Layout, Mixer, Stack
from mixssl.models.heads.base import MixHead, renumbered
from mixssl.registry import MODELS
from mixssl.structures import MixedView


@MODELS.register_module()
class StackHead(MixHead):
    """Lets a head of its own read the mixtures of each of several mixers, and sums the losses.

    Each head's ``loss_weight`` is the weight of its mixtures. The method's clean loss is there once, and stays where
    all heads keep it: beside a mixture that takes the place of the clean view there is none.

    Args:
        heads: Configs of heads, or heads, one for each mixer of :class:`~mixssl.mixing.Stack`, in its order.

    Raises:
        ValueError: If there is no head.
    """

    layouts = (Layout.STACK,)

    def __init__(self, heads: Sequence[dict | MixHead]) -> None:
        super().__init__()
        self.heads: list[MixHead] = [
            MODELS.build(head) if isinstance(head, dict) else head for head in heads
        ]
        if not self.heads:
            raise ValueError(
                "heads of StackHead is empty: name one for each mixer, like [dict(type='mixssl.UnMixHead')]"
            )
        self.requirements = frozenset().union(*(head.requirements for head in self.heads))  # type: ignore[misc]
        self.clean_weight = min(head.clean_weight for head in self.heads)
        self.targets_mixtures = any(head.targets_mixtures for head in self.heads)

    def asks(self, mixer: Mixer) -> frozenset[str]:
        """See :meth:`MixHead.asks`: what any pair asks for."""
        pairs = zip(self.heads, mixer.mixers, strict=True)  # type: ignore[attr-defined]  # a Stack, by check_mixer
        return frozenset().union(*(head.asks(own) for head, own in pairs))

    def check_mixer(self, mixer: Mixer) -> None:
        """Raises a ValueError unless there is a head for each mixer, which can read what that one makes."""
        super().check_mixer(mixer)
        assert isinstance(mixer, Stack)
        if len(self.heads) != len(mixer.mixers):
            names = ", ".join(type(own).__name__ for own in mixer.mixers)
            raise ValueError(
                f"heads of StackHead are {len(self.heads)} and Stack has {len(mixer.mixers)} mixers, {names}: "
                "choose one head for each, in their order"
            )
        for head, own in zip(self.heads, mixer.mixers, strict=True):
            head.check_mixer(own)

    def terms(self, mixtures: Sequence[MixedView], clean: int) -> list[Any]:
        """See :meth:`MixHead.terms`."""
        terms = []
        for place, head in enumerate(self.heads):
            own = [n for n, mixture in enumerate(mixtures) if mixture.stacked == place]
            # What the inner head numbers 0, 1, 2, ... are the clean views, then this mixer's mixtures.
            numbers = [*range(clean), *(clean + n for n in own)]
            inner = head.terms([mixtures[n] for n in own], clean)
            terms += [renumbered(term, numbers.__getitem__) for term in inner]
        return terms
