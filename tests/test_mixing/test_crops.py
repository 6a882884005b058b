"""ScaleMix and CropMix: boxes and weights by hand, and which views are whose."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from support.tiny import views

from mixssl.mixing import CropMix, ScaleMix, crop_ranges
from mixssl.mixing.sampling import clip_boxes, half_sides


@pytest.mark.parametrize(
    ("lam", "centre", "box", "share"),
    [
        (0.36, (1, 5), (0, 2, 4, 8), 0.375),
        (0.75, (4, 4), (2, 2, 6, 6), 0.25),
        (0.36, (7, 0), (4, 0, 8, 3), 0.1875),
        (0.99, (4, 4), (4, 4, 4, 4), 0.0),
    ],
)
def test_boxes_by_hand(
    monkeypatch: pytest.MonkeyPatch,
    lam: float,
    centre: tuple[int, int],
    box: tuple[int, ...],
    share: float,
) -> None:
    drawn = clip_boxes(torch.tensor([centre]), half_sides(torch.tensor([lam]), 8, 8), 8, 8)
    mixer = ScaleMix(per_sample=False)
    monkeypatch.setattr(mixer, "draw", lambda *_: drawn[::-1])
    x = views(4, 8, count=3)
    (mixed,) = mixer(x, torch.Generator())
    assert mixed.images is not None and mixed.boxes is not None
    assert mixed.boxes.tolist() == [list(box)] * 4 and mixed.lam.tolist() == [1 - share] * 4
    top, left, bottom, right = box
    expected = x[0].clone()
    expected[:, :, top:bottom, left:right] = x[2][:, :, top:bottom, left:right]
    assert torch.equal(mixed.images, expected)


def test_blends_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights after λ = 0.3 and 0.6, and after a further 0.8, of four images that are one bright each."""
    for crops, weights in ((3, [0.18, 0.42, 0.40]), (4, [0.144, 0.336, 0.32, 0.2])):
        lams = iter([0.3, 0.6, 0.8])
        mixer = CropMix(crops=crops, kind="mixup", per_sample=False)
        monkeypatch.setattr(mixer, "draw", lambda *_, it=lams: (torch.tensor([next(it)]), None))
        x = [torch.zeros(1, 4, 2, 2) for _ in range(crops + 1)]
        for channel, number in enumerate([0, *range(2, crops + 1)]):  # view 1 is the key's
            x[number][:, channel] = 1
        x[1][:] = 100
        (mixed,) = mixer(x, torch.Generator())
        assert mixed.images is not None and mixed.boxes is None
        assert mixed.images[0, :, 0, 0].tolist() == pytest.approx([*weights, 0, 0][:4])
        assert mixed.lam.item() == pytest.approx(weights[0])


def test_ranges_of_scales() -> None:
    def cuts(crops: int, smallest: float) -> list[float]:
        ranges = crop_ranges(crops, smallest)
        assert ranges[0][0] == smallest and ranges[-1][1] == pytest.approx(1)
        assert all(a[1] == b[0] for a, b in pairwise(ranges))
        return [high for _, high in ranges[:-1]]

    assert cuts(2, 0.01) == pytest.approx([0.505])
    assert cuts(3, 0.01) == pytest.approx([0.34, 0.67])
    assert cuts(4, 0.01) == pytest.approx([0.2575, 0.505, 0.7525])
    assert cuts(2, 0.2) == pytest.approx([0.6])
    assert cuts(4, 0.2) == pytest.approx([0.4, 0.6, 0.8])


def test_a_crop_that_pastes_leaves_what_the_later_ones_leave() -> None:
    x = [torch.full((6, 1, 8, 8), float(number)) for number in range(4)]
    (mixed,) = CropMix(crops=3)(x, torch.Generator().manual_seed(0))
    assert mixed.images is not None and mixed.mask is not None
    assert set(mixed.images.unique().tolist()) == {0.0, 2.0, 3.0}
    assert torch.equal(mixed.mask, (mixed.images == 0).float())
    assert len(mixed.lam.unique()) > 1


def test_both_views_have_crops_of_their_own() -> None:
    x = [torch.full((6, 1, 8, 8), float(number)) for number in range(6)]
    mixer = CropMix(crops=3, views=(0, 1))
    assert mixer.extra_views == 4
    first, second = mixer(x, torch.Generator().manual_seed(0))
    assert first.images is not None and second.images is not None
    assert set(first.images.unique().tolist()) == {0.0, 2.0, 3.0}
    assert set(second.images.unique().tolist()) == {1.0, 4.0, 5.0}
    assert (first.source, first.partner_view) == (0, 2)
    assert (second.source, second.partner_view) == (1, 4)


def test_too_few_views_are_refused() -> None:
    for mixer, given, wanted in ((ScaleMix(), 2, 3), (CropMix(3, views=(0, 1)), 4, 6)):
        with pytest.raises(ValueError, match=f"gives {given} views: set num_views .* to {wanted}"):
            mixer(views(count=given), torch.Generator())
    with pytest.raises(ValueError, match="crops of .8, 8. and .4, 4. pixels: give all the same"):
        ScaleMix()([*views(4, 8), *views(4, 4, count=1)], torch.Generator())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"crops": 1}, "crops of CropMix is 1 and must be >= 2"),
        ({"kind": "fmix"}, "kind of CropMix is 'fmix'"),
    ],
)
def test_arguments_out_of_range_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CropMix(**settings)
