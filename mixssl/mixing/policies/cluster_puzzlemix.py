"""PuzzleMix that is told what matters by the model and its clusters."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from mixssl.mixing.deferred import DeferredMixture, Saliency
from mixssl.mixing.policies.puzzlemix import Draw, PuzzleMix
from mixssl.registry import MIXERS
from mixssl.structures import MixedView


@MIXERS.register_module()
class ClusterPuzzleMix(PuzzleMix):
    """PuzzleMix by the gradient of a loss, as its authors have it, with pseudo-labels in place of labels.

    A pixel's saliency is the root mean square over the channels of the gradient, with respect to the image, of the
    cross-entropy of the model's classifier with the image's cluster (Kim et al. 2020, §4; Table 4 of AMix, "MoCo.V2
    (C)"). The model must have ``clusters``. The gradient is taken through the momentum encoder, or the online one where
    there is none, which neither learn nor remember anything of it; PuzzleMix's code takes it through the network in
    training. That costs a forward pass and a backward pass to the pixels. Nothing else differs from
    :class:`~mixssl.mixing.policies.PuzzleMix`, whose arguments it has.
    """

    clusters = True

    def __call__(  # type: ignore[override]  # the model makes mixtures of these
        self, views: Sequence[Tensor], generator: torch.Generator
    ) -> list[DeferredMixture]:
        """Draws; the model, which knows what matters, has ``self.views`` of the clean views mixed."""
        partner, draw = self.drawn(views, generator)
        return [
            DeferredMixture(partial(self._render, views[source], source, partner, draw))
            for source in self.views
        ]

    def _render(
        self,
        images: Tensor,
        source: int,
        partner: Tensor,
        draw: Draw,
        labels: Tensor,
        saliency: Saliency,
    ) -> MixedView:
        """Mixes by the given saliency; the clusters themselves have no say."""
        return self.render(images, source, partner, draw._replace(measure=saliency))
