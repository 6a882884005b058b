"""MoCoV3ViT: positions of each token, on square and on other images, with and without init_weights."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS
from support.methods_more import mocov3_vit, run_length, vit
from support.tiny import build, total, views
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


def test_tokens_are_left_out_where_there_is_a_gradient() -> None:
    whole, model = backbone(), backbone(token_dropout=0.75)
    assert whole.state_dict().keys() == model.state_dict().keys()
    seen: list[Tensor] = []
    model.layers[1].register_forward_hook(lambda _, args, __: seen.append(args[0]))
    model.layers[0].forward = lambda tokens: tokens  # what it is given, to be compared
    images = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        model(images)
    model.eval()  # mmpretrain returns nothing here
    model(images)
    model.train()
    model(images)
    all_of_them, evaluated, kept = seen
    assert all_of_them.shape == evaluated.shape == (3, 17, 16) and kept.shape == (3, 5, 16)
    assert torch.equal(kept[:, 0], all_of_them[:, 0])
    distances = torch.cdist(kept[:, 1:].detach(), all_of_them[:, 1:])
    places = distances.argmin(dim=2)
    assert distances.amin(dim=2).max() < 1e-3
    assert all(len(row.unique()) == 4 for row in places) and len({str(row) for row in places}) == 3


def test_the_teacher_sees_every_token() -> None:
    with run_length():
        cfg = mocov3_vit()
        model = build(
            cfg | {"backbone": vit() | {"type": "mixssl.MoCoV3ViT", "token_dropout": 0.5}}
        )
        seen: list[tuple[str, int]] = []
        for name, part in (("student", model.backbone), ("teacher", model.teacher.module[0])):
            part.layers[1].register_forward_hook(
                lambda _, args, __, name=name: seen.append((name, args[0].shape[1]))
            )
        total(model(views(), mode="loss")).backward()
    assert set(seen) == {("student", 9), ("teacher", 17)}


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"token_dropout": 1.0}, r"must lie in \[0, 1\)"),
        ({"token_dropout": 0.5, "out_type": "featmap"}, "needs every token"),
    ],
)
def test_what_does_not_fit(changes: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        backbone(**changes)


def test_a_worked_example() -> None:
    arch = {"embed_dims": 8, "num_layers": 1, "num_heads": 1, "feedforward_channels": 8}
    found = backbone(arch=arch, img_size=8, patch_size=4).pos_embed[0]
    first, second = [0, 0, 1, 1], [0.841471, 0.01, 0.540302, 0.99995]
    rows = [[0] * 8, first + first, first + second, second + first, second + second]
    assert_close(found, torch.tensor(rows), atol=1e-6, rtol=0)
