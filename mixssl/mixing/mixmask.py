"""MixMask: two images by a mask of grid cells, in blocks or cell by cell."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mixssl.mixing.base import Mixer
from mixssl.mixing.ops import rows_mixture, upsampled
from mixssl.mixing.sampling import check_views, random_partner, reverse_partner, uniform
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require, require_one_of

TRIES = 10
"""Blocks proposed in a row that may not fit, before a mask is left as it is."""
ASPECT = 0.3
"""Least height by width of a block; the inverse is the most."""


@MIXERS.register_module()
class MixMask(Mixer):
    """Shows each image where a grid's cells say so, its partner elsewhere (MixMask, Vishniakov et al. 2022).

    One mask per batch. λ is the share of *pixels* that the own image keeps, which is not that of cells where the grid
    does not divide the image. Masks in which one image is missing are drawn again. Read it with
    :class:`~mixssl.models.heads.UnMixHead`.

    Args:
        kind: ``"blockwise"``, the own image in blocks (BEiT's masks), or ``"discrete"``, cell by cell.
        grid: Cells along a side, >= 2, and >= 4 for ``"blockwise"``, whose blocks begin at four cells. The paper's
            ImageNet recipe has 8.
        mask_lam: Share of cells, in (0, 1): of the own image for ``"blockwise"``, at most, and of the partner for
            ``"discrete"``, on average, as in the authors' code.
        shuffle: Whether partners are a random order of the batch, which beside Un-Mix gives each image another
            partner; otherwise they are the reversed batch.
        views: Clean views to mix, with the same mask and partners.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self,
        kind: str = "blockwise",
        grid: int = 8,
        mask_lam: float = 0.5,
        shuffle: bool = False,
        views: Sequence[int] = (0,),
    ) -> None:
        require_one_of(("blockwise", "discrete"), self, kind=kind)
        least = 4 if kind == "blockwise" else 2
        if grid < least:
            raise ValueError(
                f"grid of MixMask is {grid} and must be >= {least} for {kind} masks; 8 is usual"
            )
        require("(0, 1)", self, "0.5 is usual", mask_lam=mask_lam)
        self.kind = kind
        self.grid = grid
        self.mask_lam = mask_lam
        self.shuffle = shuffle
        self.views = self.checked_views(views)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views; see :meth:`Mixer.__call__`."""
        check_views(self, views)
        cells = self.draw(generator)
        size, device = len(views[0]), views[0].device
        partner = random_partner(size, generator) if self.shuffle else reverse_partner(size, device)
        partner = partner.to(device, non_blocking=True)
        on_device = cells.to(device, non_blocking=True)
        mixtures = []
        for source in self.views:
            images = views[source]
            height, width = images.shape[-2:]
            lam = upsampled(cells, height, width).mean().view(1)
            mask = upsampled(on_device, height, width)
            mixed = torch.where(mask.bool(), images, images[partner])
            mixtures.append(rows_mixture(mixed, source, partner, lam, mask))
        return mixtures

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draws which cells show the own image: (grid, grid) of zeros and ones, float32, on the CPU."""
        cells = torch.zeros(self.grid, self.grid)
        while len(cells.unique()) == 1:
            if self.kind == "blockwise":
                count = max(int(self.mask_lam * self.grid**2), 1)
                cells = block_cells(self.grid, count, lambda: uniform(4, generator).tolist())
            else:
                numbers = uniform(self.grid**2, generator).view(self.grid, self.grid)
                cells = (numbers >= self.mask_lam).float()
        return cells


def block_cells(grid: int, count: int, draw: Callable[[], Sequence[float]]) -> Tensor:
    """Sets cells of a grid in rectangles until ``count`` are set, or none fits (BEiT, Bao et al. 2021, Algorithm 1).

    Args:
        grid: Cells along a side.
        count: Most cells to set.
        draw: Gives four numbers, uniform on [0, 1), for each block that is tried: of area, aspect, top and left.

    Returns:
        (grid, grid), float32, of zeros and ones.
    """
    cells = torch.zeros(grid, grid)
    tries = 0
    while count > 0 and tries < TRIES:
        tries += 1
        area, aspect, top, left = draw()
        area = 4 + (count - 4) * area  # of less than 4 cells where fewer are left
        aspect = ASPECT ** (1 - 2 * aspect)
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if height >= grid or width >= grid:
            continue
        rows, columns = int(top * (grid - height + 1)), int(left * (grid - width + 1))
        block = cells[rows : rows + height, columns : columns + width]
        new = block.numel() - int(block.sum())
        if 0 < new <= count:
            block.fill_(1)
            count, tries = count - new, 0
    return cells
