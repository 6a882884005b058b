"""SaliencyMix: the box lies where the partner stands out."""

from __future__ import annotations

import pytest
import torch
from support.ddp import run_ranks

from mixssl.mixing import SaliencyMix
from mixssl.mixing.policies.saliencymix import salient_points
from mixssl.mixing.sampling import clip_boxes


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _spots(size: int = 32) -> tuple[torch.Tensor, list[tuple[int, int]]]:
    """Flat images, each with one bright pixel at a place of its own."""
    images, places = torch.zeros(4, 3, size, size), [(3, 28), (16, 16), (25, 6), (10, 20)]
    for image, (y, x) in zip(images, places, strict=True):
        image[:, y, x] = 1.0
    return images, places


def test_boxes_lie_around_the_spot_and_are_clipped_by_hand() -> None:
    images, places = _spots()
    assert salient_points(images).tolist() == [list(place) for place in places]
    boxes, lam = clip_boxes(salient_points(images), torch.tensor([[4, 6]]).expand(4, 2), 32, 32)
    assert boxes.tolist() == [[0, 22, 7, 32], [12, 10, 20, 22], [21, 0, 29, 12], [6, 14, 14, 26]]
    assert lam.tolist() == pytest.approx(
        [1 - 70 / 1024, 1 - 96 / 1024, 1 - 96 / 1024, 1 - 96 / 1024]
    )


def test_one_partner_gives_the_box_of_the_batch() -> None:
    images, places = _spots()
    pasted = 0
    for seed in range(8):
        (mixed,) = SaliencyMix()([images, images], _generator(seed))
        y, x = places[mixed.partner[0]]
        top, left, bottom, right = mixed.boxes[0].tolist()
        assert torch.equal(mixed.boxes, mixed.boxes[:1].expand(4, 4))
        if bottom > top and right > left:
            assert top <= y < bottom and left <= x < right
            pasted += 1
    assert pasted >= 4


def test_per_sample_every_partner_shows_its_spot() -> None:
    images, _ = _spots()
    (mixed,) = SaliencyMix(alpha=50.0, per_sample=True)([images, images], _generator())
    for i, partner in enumerate(mixed.partner.tolist()):
        spot = images[partner] == 1
        assert (mixed.images[i][spot] == 1).all()


def _mix_on(rank: int) -> dict:
    images = torch.randn(4, 3, 32, 32, generator=_generator(rank))
    (mixed,) = SaliencyMix()([images, images], _generator(7))
    return {"lam": mixed.lam, "boxes": mixed.boxes}


def test_all_devices_share_the_box() -> None:
    one, two = run_ranks(_mix_on)
    assert torch.equal(one["lam"], two["lam"]) and torch.equal(one["boxes"], two["boxes"])
