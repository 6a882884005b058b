"""ResizeMix against resizing and pasting image by image."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views
from torch.nn import functional as F

from mixssl.mixing import ResizeMix
from mixssl.mixing.policies.resizemix import resize_paste


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("per_sample", [False, True])
def test_the_patch_is_a_resized_copy_of_the_whole_partner(per_sample: bool) -> None:
    x = views(5, 20)
    for seed in range(10):
        (mixed,) = ResizeMix(per_sample=per_sample)(x, _generator(seed))
        for i in range(5):
            top, left, bottom, right = mixed.boxes[i].tolist()
            expected = x[0][i].clone()
            expected[:, top:bottom, left:right] = F.interpolate(
                x[0][mixed.partner[i]][None], (bottom - top, right - left), mode="bilinear"
            )[0]
            assert torch.allclose(mixed.images[i], expected, atol=1e-5)


def test_an_oblong_image_keeps_its_proportions() -> None:
    x = torch.randn(2, 3, 40, 80, generator=_generator())
    (mixed,) = ResizeMix(scale=(0.5, 0.5))([x, x], _generator())
    top, left, bottom, right = mixed.boxes[0].tolist()
    assert (bottom - top, right - left) == (20, 40)
    assert mixed.lam[0].item() == pytest.approx(0.75)


def test_a_patch_over_all_is_the_partner() -> None:
    x = views(4)[0]
    whole = torch.tensor([[0, 0, 16, 16]])
    assert torch.allclose(resize_paste(x, x.flip(0), whole), x.flip(0), atol=1e-5)


def test_sizes_and_places_cover_their_range() -> None:
    x = views(2000, 10)
    (mixed,) = ResizeMix(scale=(0.2, 0.7), per_sample=True)(x, _generator())
    top, left, bottom, right = mixed.boxes.unbind(1)
    assert torch.equal(bottom - top, right - left)
    assert sorted((bottom - top).unique().tolist()) == [2, 3, 4, 5, 6]
    assert top.min() == 0 and bottom.max() == 10 and left.min() == 0 and right.max() == 10
    side = (mixed.lam.sub(1).neg().sqrt() * 10).mean().item()
    assert side == pytest.approx(4.0, abs=0.1)  # U(0.2, 0.7) of 10 pixels, rounded down


def test_half_precision_costs_no_more_than_its_rounding() -> None:
    x = views(4, 64)[0]
    box = torch.tensor([[3, 5, 40, 44]])
    exact = resize_paste(x.bfloat16().float(), x.bfloat16().float().flip(0), box)
    assert torch.equal(resize_paste(x.bfloat16(), x.bfloat16().flip(0), box), exact.bfloat16())


@pytest.mark.parametrize("scale", [(0.0, 0.5), (0.6, 0.5), (0.5, 1.1)])
def test_a_scale_out_of_range_is_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"scale of ResizeMix is .* 0 < low <= high <= 1"):
        ResizeMix(scale=scale)
