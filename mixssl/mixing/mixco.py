"""MixCo's mixtures: one half of the batch blended with the other, a λ for each pair."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.mixing.base import Layout, Mixer
from mixssl.mixing.ops import blend
from mixssl.mixing.sampling import check_views, uniform
from mixssl.registry import MIXERS
from mixssl.structures import MixedView


@MIXERS.register_module()
class MixCo(Mixer):
    """Blends image i of the first half of a batch with image i of the second half, λ ~ U(0, 1) for each pair.

    A batch of N images gives N/2 mixtures (MixCo, Kim et al. 2020, eq. 2 and Algorithm 1). The algorithm leaves open
    whether pairs share λ; eq. 2 and the authors' code draw one for each.

    Args:
        views: Clean views to mix: ``(0,)`` is the paper's query view; ``(0, 1)`` also the other one, with the same λ,
            for methods that compare both ways.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    layout: ClassVar[Layout] = Layout.HALF
    shared_lam = False

    def __init__(self, views: Sequence[int] = (0,)) -> None:
        self.views = self.checked_views(views)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views; see :meth:`Mixer.__call__`. N must be even."""
        check_views(self, views)
        size = len(views[0])
        if size % 2:
            raise ValueError(
                f"MixCo got a batch of {size} and needs an even one, to mix one half with the other: "
                "change batch_size, and set drop_last=True in train_dataloader"
            )
        lam = uniform(size // 2, generator).float()
        return [halves_mixture(views[source], source, lam) for source in self.views]


def halves_mixture(images: Tensor, source: int, lam: Tensor) -> MixedView:
    """Blends the first half of a view with its second half.

    Args:
        images: (N, C, H, W), N even.
        source: Number of the view.
        lam: (N/2,), in [0, 1].

    Returns:
        The mixture, (N/2, C, H, W), its mask constant over each image.
    """
    half, (height, width) = len(images) // 2, images.shape[-2:]
    lam = lam.float().to(images.device, non_blocking=True)
    index = torch.arange(half, device=images.device)
    return MixedView(
        images=blend(images[:half], images[half:], lam),
        source=source,
        partner_view=source,
        index=index,
        partner=index + half,
        lam=lam,
        mask=lam.view(-1, 1, 1, 1).expand(-1, 1, height, width),
    )
