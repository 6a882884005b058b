"""Embeddings of regions: a feature map averaged inside and outside of each image's box."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.registry import MODELS
from mixssl.structures import CANVAS, GLOBAL, LOCAL, PASTE


@MODELS.register_module()
class RegionPool(BaseModule):
    """Projects a feature map and averages it over regions of the image (local/global CutMix, Lam 2022, §3.2.1).

    The paper upsamples the map bilinearly to the size of the image and averages inside and outside of the box; its
    authors' code, not the paper, projects the map first, by a 1 x 1 convolution to 128 channels. All three are linear,
    and upsampling is separable: the average over a region is the map weighted per cell, the weights being sums over the
    rows and columns of the 1-D interpolation matrices. So nothing is upsampled here, and the convolution sees one
    vector per region; the numbers are the same.

    Args:
        in_channels: Of the backbone's last map.
        out_channels: Of the embedding; the authors' code has 128.
        init_cfg: As in mmengine.
    """

    def __init__(
        self, in_channels: int, out_channels: int = 128, init_cfg: dict | list | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size=1)

    def forward(
        self, feats: Sequence[Tensor], boxes: Tensor, size: tuple[int, int], regions: Sequence[str]
    ) -> dict[str, Tensor]:
        """Embeds regions.

        Args:
            feats: Maps of the backbone, the last of them (N, in_channels, h, w).
            boxes: (N, 4), int64: top, left, bottom, right in pixels of the image, half-open.
            size: Height and width of the image in pixels.
            regions: ``"local"`` for the inside of the boxes, ``"global"`` for the outside.

        Returns:
            For each region (N, out_channels), not normalised; the convolution's bias where a region has no pixel.

        Raises:
            ValueError: If the backbone gives no map, or a region is unknown.
        """
        maps = feats[-1]
        if maps.ndim != 4:
            raise ValueError(
                f"RegionPool got features of shape {tuple(maps.shape)} and needs a map (N, C, h, w): "
                "take a convolutional backbone, and no global pooling before the neck"
            )
        weights = region_weights(boxes, size, (maps.shape[2], maps.shape[3]), regions)
        with torch.autocast(maps.device.type, enabled=False):
            pooled = torch.einsum("nchw,nrhw->ncr", maps.float(), weights)
        embedded = self.conv(pooled.unsqueeze(-1)).squeeze(-1)
        return dict(zip(regions, embedded.unbind(dim=2), strict=True))


def region_weights(
    boxes: Tensor, size: tuple[int, int], cells: tuple[int, int], regions: Sequence[str]
) -> Tensor:
    """Weighs the cells of a feature map so that their sum is the upsampled map's average over a region.

    Args:
        boxes: (N, 4), int64: top, left, bottom, right in pixels, half-open.
        size: Height and width of the image in pixels.
        cells: Height and width of the map.
        regions: ``"local"`` for the inside of the boxes, ``"global"`` for the outside; else a ValueError is raised.

    Returns:
        (N, R, h, w), float32, each region's weights summing to 1, or 0 where it has no pixel.
    """
    if not set(regions) <= {LOCAL, GLOBAL}:
        raise ValueError(f"regions is {tuple(regions)} and may hold {LOCAL!r} and {GLOBAL!r} only")
    rows, other_rows = _line_sums(boxes[:, 0], boxes[:, 2], size[0], cells[0])
    columns, other_columns = _line_sums(boxes[:, 1], boxes[:, 3], size[1], cells[1])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    sums = {}
    if LOCAL in regions:
        inside = rows[:, :, None] * columns[:, None, :]
        sums[LOCAL] = inside / area.clamp_min(1)[:, None, None]
    if GLOBAL in regions:
        # What is above and below the box, then what is left and right of it: no difference of large sums.
        above = other_rows[:, :, None] * (columns + other_columns)[:, None, :]
        beside = rows[:, :, None] * other_columns[:, None, :]
        sums[GLOBAL] = (above + beside) / (size[0] * size[1] - area).clamp_min(1)[:, None, None]
    return torch.stack([sums[region] for region in regions], dim=1)


def cell_weights(boxes: Tensor, size: tuple[int, int], cells: tuple[int, int]) -> dict[str, Tensor]:
    """Weighs the cells of a feature map so that their sum is the map's average inside or outside of each box.

    A cell that a box cuts counts by the share of it that lies inside.

    Args:
        boxes: (N, 4), int64: top, left, bottom, right in pixels, half-open, neither empty nor the whole image.
        size: Height and width of the image in pixels.
        cells: Height and width of the map.

    Returns:
        For each of the two regions (N, h, w), float32, summing to 1.
    """
    rows = _covered(boxes[:, 0], boxes[:, 2], size[0], cells[0])
    columns = _covered(boxes[:, 1], boxes[:, 3], size[1], cells[1])
    inside = rows[:, :, None] * columns[:, None, :]
    return {
        region: share / share.sum(dim=(1, 2), keepdim=True)
        for region, share in ((CANVAS, 1 - inside), (PASTE, inside))
    }


def _covered(start: Tensor, stop: Tensor, pixels: int, cells: int) -> Tensor:
    """Share of each cell that lies in [start, stop), (N, cells)."""
    edges = torch.arange(cells + 1, device=start.device) * (pixels / cells)
    low = torch.maximum(edges[:-1], start[:, None])
    return (torch.minimum(edges[1:], stop[:, None]) - low).clamp_min(0) * (cells / pixels)


def interpolation_matrix(pixels: int, cells: int, device: torch.device | str = "cpu") -> Tensor:
    """The matrix (pixels, cells) of linear upsampling in one dimension, float32 (``align_corners=False``)."""
    lines = F.interpolate(
        torch.eye(cells, device=device)[None], size=pixels, mode="linear", align_corners=False
    )
    return lines[0].t()


def _line_sums(start: Tensor, stop: Tensor, pixels: int, cells: int) -> tuple[Tensor, Tensor]:
    """What each cell gives to the lines [start, stop) of the image and to the other lines, each (N, cells)."""
    line = torch.arange(pixels, device=start.device)
    inside = (line >= start[:, None]) & (line < stop[:, None])
    with torch.autocast(start.device.type, enabled=False):
        matrix = interpolation_matrix(pixels, cells, start.device)
        return inside.float() @ matrix, (~inside).float() @ matrix
