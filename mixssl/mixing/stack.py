"""Several mixtures of one batch."""

from collections.abc import Sequence
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.mixing.base import Layout, Mixer
from mixssl.mixing.deferred import DeferredMixture, Saliency
from mixssl.mixing.sampling import stream
from mixssl.registry import MIXERS
from mixssl.structures import MixedView


@MIXERS.register_module()
class Stack(Mixer):
    """Lets several mixers mix the same views; each mixture says whose it is. Read it with ``mixssl.StackHead``.

    Each mixer has a stream of random numbers of its own, which follows from seed, step and its place: the first draws
    what it would draw alone, and a mixer added at the end changes the draws of none.

    Views that are there to be mixed in alone come last, in the order of the mixers that ask for them.

    Args:
        mixers: Configs of mixers, or mixers, at least one; of views of one size.

    Raises:
        ValueError: If there is no mixer, or one that holds mixers itself.
    """

    layout: ClassVar[Layout] = Layout.STACK

    def __init__(self, mixers: Sequence[dict | Mixer]) -> None:
        self.mixers: list[Mixer] = [
            MIXERS.build(mixer) if isinstance(mixer, dict) else mixer for mixer in mixers
        ]
        if not self.mixers:
            raise ValueError(
                "mixers of Stack is empty: name at least one, like [dict(type='mixssl.UnMix')]"
            )
        for mixer in self.mixers:
            if mixer.layout in (Layout.STACK, Layout.SCALES):
                raise ValueError(
                    f"Stack can't carry {type(mixer).__name__}, which holds mixers itself: name those of one size in "
                    "mixers, all in one list"
                )
        self.views = tuple(sorted({view for mixer in self.mixers for view in mixer.views}))
        self.extra_views = sum(mixer.extra_views for mixer in self.mixers)
        self.shared_lam = all(mixer.shared_lam for mixer in self.mixers)
        self.layers = tuple(dict.fromkeys(layer for mixer in self.mixers for layer in mixer.layers))
        self.learned = any(mixer.learned for mixer in self.mixers)
        self.clusters = any(mixer.clusters for mixer in self.mixers)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Has every mixer mix the views; see :meth:`Mixer.__call__`."""
        clean = len(views) - self.extra_views
        taken, found = clean, []
        for place, mixer in enumerate(self.mixers):
            numbers = [*range(clean), *range(taken, taken + mixer.extra_views)]
            taken += mixer.extra_views
            own = mixer([views[number] for number in numbers], stream(generator, place))
            found += [_placed(mixture, place, numbers) for mixture in own]
        return found


def _placed(mixture: MixedView | DeferredMixture, place: int, numbers: list[int]) -> MixedView:
    """Says which mixer made a mixture, and gives its partners' view its number among all."""
    if isinstance(mixture, DeferredMixture):
        render = partial(_rendered, mixture, place, numbers)
        return DeferredMixture(render)  # type: ignore[return-value]  # the model makes a mixture of it
    return mixture._replace(stacked=place, partner_view=numbers[mixture.partner_view])


def _rendered(
    mixture: DeferredMixture, place: int, numbers: list[int], labels: Tensor, saliency: Saliency
) -> MixedView:
    return _placed(mixture.render(labels, saliency), place, numbers)
