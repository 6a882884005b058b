"""RegionCL's mixtures: one region of whole cells of the feature map, swapped in from the reversed batch."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from mixssl.mixing.base import Layout, Mixer
from mixssl.mixing.sampling import check_views, uniform
from mixssl.mixing.unmix import region_mixture
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require


@MIXERS.register_module()
class RegionCL(Mixer):
    """Pastes one box of the reversed batch, as many whole cells of the last feature map (RegionCL, Xu et al. 2022).

    One box per batch. Either side has a number of cells of its own; a start is drawn in pixels and rounded to a cell.
    Read it with :class:`~mixssl.models.heads.RegionCLHead`. The authors' code caps the start one pixel too low, so that
    most boxes lie between cells; here they lie on them.

    Args:
        stride: Pixels along a side of a cell, >= 1: 32 for a ResNet at 224 pixels, 8 for one with the stem for small
            images.
        cells: Least and most cells along a side of the box; the paper has 3 to 5 of 7.
        views: Clean views to mix, with the same box.

    Raises:
        ValueError: If an argument lies outside its range, or cells don't fit the images.
    """

    layout: ClassVar[Layout] = Layout.CELLS

    def __init__(
        self, stride: int = 32, cells: Sequence[int] = (3, 5), views: Sequence[int] = (0,)
    ) -> None:
        require(">= 1", self, "32 is usual for 224 pixels, 8 for 32", stride=stride)
        if len(cells) != 2 or not 1 <= cells[0] <= cells[1]:
            raise ValueError(
                f"cells of RegionCL is {tuple(cells)} and must be a least and a most number >= 1, like (3, 5)"
            )
        self.stride = stride
        self.cells = tuple(cells)
        self.views = self.checked_views(views)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views; see :meth:`Mixer.__call__`."""
        check_views(self, views, one_size=True)
        height, width = views[self.views[0]].shape[-2:]
        rows, columns = height // self.stride, width // self.stride
        if height % self.stride or width % self.stride or min(rows, columns) <= self.cells[1]:
            raise ValueError(
                f"RegionCL got images of {height} x {width} pixels, which stride {self.stride} cuts into "
                f"{rows} x {columns} cells, and a box of up to {self.cells[1]}: let stride divide the sides, and cells "
                "leave a rest, like stride=8, cells=(2, 3) for 32 pixels"
            )
        box = self.draw(rows, columns, generator) * self.stride
        area = (box[:, 2:] - box[:, :2]).prod(dim=1)
        lam = 1 - area.double() / (height * width)
        return [region_mixture(views[source], source, lam, box) for source in self.views]

    def draw(self, rows: int, columns: int, generator: torch.Generator) -> Tensor:
        """Draws a box in cells: (1, 4), int64: top, left, bottom, right, half-open, on the CPU."""
        count = torch.tensor([rows, columns])
        sides = torch.randint(self.cells[0], self.cells[1] + 1, (2,), generator=generator)
        start = (uniform(2, generator) * count).round().long().minimum(count - sides)
        return torch.cat([start, start + sides])[None]
