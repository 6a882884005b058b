"""Local/global mixtures, pixel by pixel."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import InterCutMix, IntraCutMix, Mixer, region_boxes
from mixssl.mixing.sampling import beta


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_boxes_always_have_an_inside_and_an_outside() -> None:
    for height, width in [(2, 2), (2, 5), (8, 8), (13, 7), (32, 32)]:
        for lam in (torch.zeros(300), torch.ones(300), torch.rand(300, generator=_generator(1))):
            boxes, exact = region_boxes(lam, height, width, _generator(2))
            top, left, bottom, right = boxes.unbind(1)
            assert (top >= 0).all() and (top < bottom).all() and (bottom <= height).all()
            assert (left >= 0).all() and (left < right).all() and (right <= width).all()
            area = ((bottom - top) * (right - left)).double()
            assert ((area >= 1) & (area <= height * width - 1)).all()
            assert torch.equal(exact, 1 - area / (height * width))


def test_an_empty_box_becomes_one_pixel_and_a_whole_one_gives_up_a_row() -> None:
    boxes, lam = region_boxes(torch.ones(20), 8, 16, _generator())
    assert torch.equal(boxes[:, 2:] - boxes[:, :2], torch.ones(20, 2).long())
    assert (lam == 1 - 1 / 128).all()
    draws = [region_boxes(torch.zeros(500), 4, 4, _generator())[0]]
    assert [0, 0, 3, 4] in draws[0].tolist()


@pytest.mark.parametrize("seed", range(10))
def test_inter_pixels_are_what_the_record_says(seed: int) -> None:
    x = views(6, 12)
    before = [v.clone() for v in x]
    one, two = InterCutMix()(x, _generator(seed))
    for number, mixed in enumerate((one, two)):
        top, left, bottom, right = mixed.boxes[0].tolist()
        expected = x[number].clone()
        expected[:, :, top:bottom, left:right] = x[number].flip(0)[:, :, top:bottom, left:right]
        assert torch.equal(mixed.images, expected)
        assert (mixed.source, mixed.partner_view) == (number, number)
        assert torch.equal(mixed.partner, torch.arange(5, -1, -1))
        assert torch.allclose(mixed.mask.mean(dim=(1, 2, 3)), mixed.lam)
        assert len(mixed.lam.unique()) == 1
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))


def test_both_views_share_lam_before_clipping_and_have_their_own_boxes() -> None:
    x, seen = views(4, 32), set()
    for seed in range(20):
        one, two = InterCutMix()(x, _generator(seed))
        lam = beta(1.0, 1, _generator(seed))
        cut = int((1 - lam.item()) ** 0.5 * 32) // 2 * 2
        for mixed in (one, two):
            sides = mixed.boxes[0, 2:] - mixed.boxes[0, :2]
            assert (sides <= max(cut, 1)).all()
        seen.add(torch.equal(one.boxes, two.boxes))
    assert False in seen


@pytest.mark.parametrize("seed", range(10))
def test_intra_swaps_one_box_between_the_views_of_each_image(seed: int) -> None:
    x = views(5, 12)
    one, two = IntraCutMix()(x, _generator(seed))
    assert torch.equal(one.boxes, two.boxes) and torch.equal(one.lam, two.lam)
    assert (one.source, one.partner_view, two.source, two.partner_view) == (0, 1, 1, 0)
    assert torch.equal(one.index, one.partner) and torch.equal(one.index, torch.arange(5))
    for mixed, own, other in ((one, x[0], x[1]), (two, x[1], x[0])):
        assert torch.equal(mixed.images, torch.where(mixed.mask.bool(), own, other))
        assert torch.allclose(mixed.mask.mean(dim=(1, 2, 3)), mixed.lam)
    again, back = IntraCutMix()([one.images, two.images], _generator(seed))
    assert torch.equal(again.images, x[0]) and torch.equal(back.images, x[1])


def test_intra_needs_no_second_image() -> None:
    assert len(IntraCutMix()(views(1), _generator())) == 2


@pytest.mark.parametrize("mixer", [InterCutMix(views=(2, 0)), IntraCutMix(views=(2, 0))])
def test_views_can_be_chosen_and_draws_repeat(mixer: Mixer) -> None:
    x = views(4, count=3)
    one, two = mixer(x, _generator(5)), mixer(x, _generator(5))
    assert [mixed.source for mixed in one] == [2, 0]
    assert all(torch.equal(a.images, b.images) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0].images, mixer(x, _generator(6))[0].images)


@pytest.mark.parametrize("kind", [InterCutMix, IntraCutMix])
def test_what_lies_outside_its_range_is_refused(
    kind: type[InterCutMix] | type[IntraCutMix],
) -> None:
    with pytest.raises(ValueError, match=f"alpha of {kind.__name__} is 0 and must be > 0"):
        kind(alpha=0)
    with pytest.raises(
        ValueError, match=rf"views of {kind.__name__} is \(1, 1\) and must name two distinct views"
    ):
        kind(views=(1, 1))
    with pytest.raises(ValueError, match="mixes view 2 and the pipeline gives 2"):
        kind(views=(0, 2))(views(4), _generator())
    with pytest.raises(
        ValueError, match=r"views of \(16, 16\) and \(8, 8\) pixels and needs two of the same size"
    ):
        kind()([views(4)[0], views(4, 8)[1]], _generator())
    with pytest.raises(ValueError, match="at least 2 x 2"):
        kind()(views(4, 1), _generator())


def test_inter_refuses_a_batch_of_one() -> None:
    with pytest.raises(ValueError, match="InterCutMix got a batch of 1"):
        InterCutMix()(views(1), _generator())
