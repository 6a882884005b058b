"""What every mixer is and promises."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.structures import MixedView
from mixssl.utils.errors import require


class Layout(str, Enum):
    """How mixtures relate to the clean views; a mix head says which layouts it reads."""

    ROWS = "rows"
    """Every mixture has a row per image."""
    HALF = "half"
    """Half as many rows: one half of the batch is mixed with the other."""
    SCALES = "scales"
    """The views come in pairs of one size each, and every pair is mixed by itself."""
    LEARNED = "learned"
    """A network of the model makes the masks; each mixed view gives one mixture for the encoder and one for it."""
    CUT_BATCHES = "pairs of cut batches"
    """Both views are mixed within the batch, each with boxes of its own."""
    SWAPPED_BOXES = "swapped boxes of two views"
    """The two views of an image swap a box."""
    CELLS = "boxes of whole cells"
    """Every mixture has a row per image, and a box of whole cells of the feature map."""
    STACK = "several mixtures"
    """Each mixture is one of several mixers'."""
    CROPS = "crops of one image"
    """A mixture shows one image, in several crops, and takes the place of its view."""

    __str__ = str.__str__


class Mixer(ABC):
    """Turns the clean views of a step into mixtures. Knows pixels and no loss.

    Attributes:
        layout: How the mixtures relate to the views.
        views: Numbers of the clean views that it mixes.
        extra_views: How many of the last views are there to be mixed in alone: no method sees them.
        shared_lam: Whether all rows of a batch share one λ, which losses that don't decompose over samples need.
        layers: Modules of the backbone whose outputs it may have mixed, by their dotted names; empty for mixers of
            pixels.
        learned: Whether a network of the model makes the masks.
        clusters: Whether it asks for the images' clusters, and so returns instances of
            :class:`~mixssl.mixing.DeferredMixture`.
    """

    layout: ClassVar[Layout] = Layout.ROWS
    views: tuple[int, ...]
    extra_views: int = 0
    shared_lam: bool = True
    layers: tuple[str, ...] = ()
    learned: bool = False
    clusters: bool = False

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
        require("> 0", self, "1.0 is usual", alpha=alpha)
        return alpha
