"""ManifoldMix: two images blended in a hidden layer."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.mixing.ops import rows_mixture
from mixssl.mixing.policies.base import BetaPolicy
from mixssl.mixing.unmix import global_mixture
from mixssl.registry import MIXERS
from mixssl.structures import MixedView

INPUT = "input"
"""Names the pixels among the layers."""


@MIXERS.register_module()
class ManifoldMix(BetaPolicy[tuple[Tensor, str]]):
    """Blends at a layer drawn anew for each batch: the pixels, or the output of a module (Verma et al. 2019, §3).

    The method runs the view through its online backbone once more and mixes the batch with its partners where the
    record says, so a step costs what it costs with mixed pixels. Such mixtures can be compared with clean targets only:
    a target encoder never sees them.

    Args:
        alpha: Of λ ~ Beta(alpha, alpha), > 0; the paper uses 2 for residual networks.
        layers: Where to mix: ``"input"`` or dotted names of modules of the backbone, each equally likely. The default
            is the paper's for residual networks: the pixels and the first two stages.
        per_sample: Whether each image has a λ of its own; the layer is the batch's.
        views: Clean views to mix, with the same partners, λ and layer.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        layers: Sequence[str] = (INPUT, "layer1", "layer2"),
        per_sample: bool = False,
        views: Sequence[int] = (0,),
    ) -> None:
        super().__init__(alpha, per_sample, views)
        if not layers or isinstance(layers, str) or not all(layers):
            raise ValueError(
                f"layers of ManifoldMix is {layers!r} and must name modules of the backbone or 'input', "
                "like ('input', 'layer1', 'layer2')"
            )
        self.choices = tuple(layers)
        self.layers = tuple(layer for layer in layers if layer != INPUT)

    def draw(
        self, count: int, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, str]:
        """Draws λ and the layer."""
        lam = self.draw_lam(count, generator)
        return lam, self.choices[int(torch.randint(len(self.choices), (), generator=generator))]

    def render(
        self, images: Tensor, source: int, partner: Tensor, draw: tuple[Tensor, str]
    ) -> MixedView:
        """Blends pixels, or writes down what the model is to blend; see :meth:`Policy.render`."""
        lam, layer = draw
        if layer == INPUT:
            return global_mixture(images, source, lam, partner)
        lam = lam.float().to(images.device, non_blocking=True)
        mask = lam.view(-1, 1, 1, 1).expand(-1, 1, *images.shape[-2:])
        return rows_mixture(None, source, partner, lam, mask)._replace(layer=layer)
