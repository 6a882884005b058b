"""MoCoV3ViT: positions of each token, on square and on other images, with and without init_weights."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS
from support.methods_more import vit
from torch import Tensor
from torch.testing import assert_close

import mixssl.registry  # noqa: F401  (adds the scope)


def backbone(scope: str = "mixssl", **changes: object) -> torch.nn.Module:
    return MODELS.build(vit() | {"type": f"{scope}.MoCoV3ViT"} | changes)


def position(row: int, column: int, size: int) -> Tensor:
    """Sines and cosines of the row, then of the column."""
    speeds = 10000.0 ** -(torch.arange(size // 4) / (size // 4))
    parts = [getattr(place * speeds, name)() for place in (row, column) for name in ("sin", "cos")]
    return torch.cat(parts)


@pytest.mark.parametrize("initialised", [False, True])
@pytest.mark.parametrize("size", [16, (8, 16), (24, 12)])
def test_every_token_has_its_place(size: int | tuple[int, int], initialised: bool) -> None:
    model = backbone(img_size=size)
    if initialised:
        model.init_weights()
    rows, columns = model.patch_resolution
    expected = [position(row, column, 16) for row in range(rows) for column in range(columns)]
    assert not model.pos_embed.requires_grad
    assert not model.pos_embed[0, 0].any()
    assert_close(model.pos_embed[0, 1:], torch.stack(expected))


def test_square_images_have_mmpretrains_positions() -> None:
    theirs = backbone("mmpretrain")
    theirs.init_weights()
    assert torch.equal(backbone().pos_embed, theirs.pos_embed)


def test_a_worked_example() -> None:
    arch = {"embed_dims": 8, "num_layers": 1, "num_heads": 1, "feedforward_channels": 8}
    found = backbone(arch=arch, img_size=8, patch_size=4).pos_embed[0]
    first, second = [0, 0, 1, 1], [0.841471, 0.01, 0.540302, 0.99995]
    rows = [[0] * 8, first + first, first + second, second + first, second + second]
    assert_close(found, torch.tensor(rows), atol=1e-6, rtol=0)
