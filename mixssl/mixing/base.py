"""What every mixer is and promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.structures import MixedView

__all__ = ["Mixer"]


class Mixer(ABC):
    """Turns the clean views of a step into mixtures. Knows pixels and no loss.

    Attributes:
        layout: How the mixtures relate to the views; a mix head says which layouts it reads. ``"rows"``: every mixture
            has a row per image.
        one_lam: Whether all rows of a batch share one λ, which losses that don't decompose over samples need.
        layers: Modules of the backbone whose outputs it may have mixed, by their dotted names; empty for mixers of
            pixels.
        learned: Whether a network of the model makes the masks.
        clusters: Whether it asks for the images' clusters, and so returns :class:`~mixssl.mixing.Deferred` mixtures.
    """

    layout: ClassVar[str] = "rows"
    one_lam: bool = True
    layers: tuple[str, ...] = ()
    learned: ClassVar[bool] = False
    clusters: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes the views.

        Args:
            views: Clean views, each (N, C, H, W), N >= 2, normalised, on the device. Never modified.
            generator: A CPU generator, the same on every rank.

        Returns:
            The mixtures, numbered on from the clean views in this order.

        Raises:
            ValueError: If a batch has fewer than two images.
        """

    def checked_views(self, views: Sequence[int]) -> tuple[int, ...]:
        """Returns the numbers of the views to mix, or raises a ValueError where they name no distinct views."""
        if not views or min(views) < 0 or len(set(views)) != len(views):
            raise ValueError(
                f"views of {type(self).__name__} is {tuple(views)} and must name distinct views from 0 on, "
                "like (0,) or (0, 1)"
            )
        return tuple(views)

    def checked_alpha(self, alpha: float) -> float:
        """Returns the parameter of a Beta distribution, or raises a ValueError unless it is > 0."""
        if not alpha > 0:
            raise ValueError(
                f"alpha of {type(self).__name__} is {alpha} and must be > 0; 1.0 is usual"
            )
        return alpha

    def require_pairs(self, views: Sequence[Tensor]) -> None:
        """Raises a ValueError where an image has nobody to be mixed with."""
        size = len(views[0])
        if size < 2:
            raise ValueError(
                f"{type(self).__name__} got a batch of {size} and needs at least 2 images per device: "
                "raise batch_size, or set drop_last=True in train_dataloader"
            )

    def require_views(self, views: Sequence[Tensor], wanted: Sequence[int]) -> None:
        """Raises a ValueError where the pipeline gives fewer views than the mixer was told to mix."""
        if max(wanted) >= len(views):
            raise ValueError(
                f"{type(self).__name__} mixes view {max(wanted)} and the pipeline gives {len(views)}: "
                f"views must lie in [0, {len(views) - 1}], or raise num_views of MultiView"
            )

    def require_one_size(self, views: Sequence[Tensor], wanted: Sequence[int]) -> None:
        """Raises a ValueError where the views that are mixed by the same draws have several sizes."""
        sizes = {tuple(views[source].shape[-2:]) for source in wanted}
        if len(sizes) > 1:
            raise ValueError(
                f"{type(self).__name__} got views of {sorted(sizes)} pixels and mixes views of one size: "
                "name those of one size in views"
            )
