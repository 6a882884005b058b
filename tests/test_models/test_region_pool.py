"""RegionPool against upsampling and averaging for real."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.necks import RegionPool, interpolation_matrix, region_weights

BOXES = torch.tensor(
    [[0, 0, 1, 1], [3, 2, 11, 9], [0, 0, 15, 20], [5, 0, 6, 20], [1, 1, 16, 20], [7, 7, 16, 8]]
)


def _neck(channels: int = 6) -> RegionPool:
    torch.manual_seed(0)
    return ROOT_MODELS.build(
        {"type": "mixssl.RegionPool", "in_channels": channels, "out_channels": 5}
    )


def _naive(
    neck: RegionPool, maps: Tensor, boxes: Tensor, size: tuple[int, int]
) -> dict[str, Tensor]:
    """Convolve, upsample the whole map, average image by image."""
    whole = F.interpolate(neck.conv(maps), size=size, mode="bilinear", align_corners=False)
    found: dict[str, list[Tensor]] = {"local": [], "global": []}
    for image, (top, left, bottom, right) in zip(whole, boxes.tolist(), strict=True):
        inside = torch.zeros(size, dtype=torch.bool)
        inside[top:bottom, left:right] = True
        found["local"].append(image[:, inside].mean(dim=1))
        found["global"].append(image[:, ~inside].mean(dim=1))
    return {region: torch.stack(rows) for region, rows in found.items()}


@pytest.mark.parametrize("cells", [(1, 1), (2, 2), (4, 5), (7, 7), (16, 20)])
def test_it_equals_upsampling_and_averaging(cells: tuple[int, int]) -> None:
    neck, maps = _neck(), torch.randn(6, 6, *cells, generator=torch.Generator().manual_seed(1))
    got = neck((maps,), BOXES, (16, 20), ("global", "local"))
    expected = _naive(neck, maps, BOXES, (16, 20))
    for region in ("local", "global"):
        assert (got[region] - expected[region]).abs().max() < 1e-6
        assert got[region].shape == (6, 5)


def test_gradients_are_those_of_upsampling_and_averaging() -> None:
    neck, gradients = _neck(), []
    for pool in (
        lambda x: neck((x,), BOXES, (16, 20), ("local", "global")),
        lambda x: _naive(neck, x, BOXES, (16, 20)),
    ):
        maps = torch.randn(6, 6, 4, 5, generator=torch.Generator().manual_seed(1)).requires_grad_()
        neck.zero_grad()
        sum((value**3).sum() for value in pool(maps).values()).backward()
        gradients.append([maps.grad, neck.conv.weight.grad.clone(), neck.conv.bias.grad.clone()])
    for a, b in zip(*gradients, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_an_interpolation_matrix_by_hand() -> None:
    """Two cells over four pixels: centres at 0.5 and 2.5 of the pixels' scale."""
    expected = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    assert torch.equal(interpolation_matrix(4, 2), expected)


def test_weights_by_hand() -> None:
    """The box holds the upper two pixels of the left column of 4 x 2, the map is 2 x 1."""
    weights = region_weights(torch.tensor([[0, 0, 2, 1]]), (4, 2), (2, 1), ("local", "global"))
    inside = torch.tensor([1.75, 0.25]) / 2
    outside = (torch.tensor([0.25, 1.75]) * 2 + torch.tensor([1.75, 0.25])) / 6
    assert torch.allclose(weights[0, 0, :, 0], inside)
    assert torch.allclose(weights[0, 1, :, 0], outside)


def test_regions_without_a_pixel_give_the_bias_and_finite_gradients() -> None:
    neck, maps = _neck(), torch.randn(2, 6, 4, 4, requires_grad=True)
    boxes = torch.tensor([[3, 3, 3, 8], [0, 0, 16, 16]])
    with torch.no_grad():
        neck.conv.bias.zero_()
    got = neck((maps,), boxes, (16, 16), ("local", "global"))
    assert torch.equal(got["local"][0], torch.zeros(5)) and torch.equal(
        got["global"][1], torch.zeros(5)
    )
    normal = {region: F.normalize(value, dim=1) for region, value in got.items()}
    sum(value[:, 0].sum() for value in normal.values()).backward()
    assert torch.isfinite(maps.grad).all() and maps.grad.abs().sum() > 0


def test_bfloat16_maps_are_averaged_in_float32() -> None:
    neck, maps = _neck(), torch.randn(6, 6, 4, 5)
    exact = neck((maps.bfloat16().float(),), BOXES, (16, 20), ("local",))["local"]
    with torch.autocast("cpu", torch.bfloat16):
        rounded = neck((maps.bfloat16(),), BOXES, (16, 20), ("local",))["local"]
    assert torch.allclose(rounded.float(), exact, atol=0.02)


def test_what_it_cant_pool_is_refused() -> None:
    with pytest.raises(ValueError, match=r"features of shape \(6, 6\) and needs a map"):
        _neck()((torch.randn(6, 6),), BOXES, (16, 20), ("local",))
    with pytest.raises(
        ValueError, match=r"regions is \('image',\) and may hold 'local' and 'global' only"
    ):
        region_weights(BOXES, (16, 20), (4, 5), ("image",))
