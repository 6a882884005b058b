"""Un-Mix's mixtures, pixel by pixel."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import UnMix, global_mixture, region_mixture


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("p_global", [0.0, 1.0])
def test_pixels_are_what_the_record_says(p_global: float) -> None:
    x = views(6, 16)
    before = [v.clone() for v in x]
    for seed in range(20):
        (mixed,) = UnMix(p_global=p_global)(x, _generator(seed))
        own, other = x[0][mixed.index], x[0][mixed.partner]
        expected = mixed.mask * own + (1 - mixed.mask) * other
        assert torch.allclose(mixed.images, expected, atol=1e-6)
        assert torch.allclose(mixed.mask.mean(dim=(1, 2, 3)), mixed.lam, atol=1e-6)
        assert mixed.mask.shape == (6, 1, 16, 16)
        assert torch.equal(mixed.partner, torch.arange(5, -1, -1))
        assert (mixed.boxes is None) == (p_global == 1.0)
        assert len(mixed.lam.unique()) == 1
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))


def test_a_region_is_cut_as_the_authors_cut_it() -> None:
    """Naive transcription: assign the reversed batch's box into a copy."""
    x = views(4, 12)[0]
    boxes, lam = torch.tensor([[2, 3, 7, 12]]), torch.tensor([1 - 45 / 144])
    expected = x.clone()
    expected[:, :, 2:7, 3:12] = x.flip(0)[:, :, 2:7, 3:12]
    assert torch.equal(region_mixture(x, 0, lam, boxes).images, expected)


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_the_ends_of_lam_are_exact(lam: float) -> None:
    x = views(4)[0]
    assert torch.equal(global_mixture(x, 0, torch.tensor([lam])).images, x if lam else x.flip(0))


def test_an_empty_box_leaves_the_image() -> None:
    x = views(4)[0]
    assert torch.equal(region_mixture(x, 0, torch.ones(1), torch.tensor([[5, 5, 5, 9]])).images, x)


def test_a_lam_per_row_is_allowed() -> None:
    x = views(4)[0]
    lam = torch.tensor([0.0, 0.25, 0.5, 1.0])
    mixed = global_mixture(x, 0, lam)
    for i in range(4):
        assert torch.allclose(mixed.images[i], lam[i] * x[i] + (1 - lam[i]) * x[3 - i], atol=1e-6)


def test_mixing_twice_with_complementary_boxes_gives_back_the_images() -> None:
    """The partner is an involution: pasting the same box of the mixture into itself restores the batch."""
    x = views(5)[0]
    box = torch.tensor([[1, 2, 9, 11]])
    once = region_mixture(x, 0, torch.tensor([0.7]), box).images
    assert torch.equal(region_mixture(once, 0, torch.tensor([0.7]), box).images, x)


def test_both_views_share_lam_box_and_partner() -> None:
    x = views(6)
    first, second = UnMix(p_global=0.0, views=(0, 1))(x, _generator(4))
    assert (first.source, second.source) == (0, 1)
    assert torch.equal(first.lam, second.lam) and torch.equal(first.boxes, second.boxes)
    assert torch.equal(first.partner, second.partner)
    assert torch.allclose(second.images, second.mask * x[1] + (1 - second.mask) * x[1].flip(0))


def test_kinds_are_drawn_with_their_probability() -> None:
    x, mixer = views(2, 8), UnMix(p_global=0.3)
    kinds = [mixer(x, _generator(seed))[0].boxes is None for seed in range(1000)]
    assert sum(kinds) / 1000 == pytest.approx(0.3, abs=0.05)


def test_same_seed_same_mixture_other_seed_another() -> None:
    x = views(4)
    one, two, three = (UnMix(p_global=1.0)(x, _generator(seed))[0].images for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, three)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_the_dtype_of_the_views_is_kept(dtype: torch.dtype) -> None:
    x = [v.to(dtype) for v in views(4)]
    for p_global in (0.0, 1.0):
        assert UnMix(p_global=p_global)(x, _generator())[0].images.dtype == dtype


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"alpha": 0.0}, "alpha of UnMix is 0.0 and must be > 0"),
        ({"alpha": float("nan")}, "alpha of UnMix is nan"),
        ({"p_global": 1.2}, r"p_global of UnMix is 1.2 and must lie in \[0, 1\]"),
        ({"views": ()}, r"views of UnMix is \(\)"),
        ({"views": (0, 0)}, "distinct views"),
    ],
)
def test_arguments_out_of_range_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UnMix(**kwargs)


def test_a_batch_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="batch of 1 and needs at least 2.*drop_last"):
        UnMix()(views(1), _generator())


def test_a_view_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="mixes view 2 and the pipeline gives 2"):
        UnMix(views=(0, 2))(views(4), _generator())


@pytest.mark.parametrize("lam", [-0.1, 1.5, float("nan")])
def test_lam_outside_its_range_is_refused(lam: float) -> None:
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        global_mixture(views(4)[0], 0, torch.tensor([lam]))


def test_views_of_another_size_get_their_own_box_and_lam_and_the_others_keep_theirs() -> None:
    generator = torch.Generator().manual_seed(5)
    large, small = (torch.rand(4, 3, side, side, generator=generator) for side in (32, 12))
    mixer = UnMix(p_global=0.0, views=(0, 1, 2, 3))
    mixed = mixer([large, large, small, small], torch.Generator().manual_seed(0))
    for mixture in mixed:
        assert torch.allclose(mixture.mask.mean(dim=(1, 2, 3)), mixture.lam, atol=1e-6)
    assert torch.equal(mixed[0].boxes, mixed[1].boxes)
    assert torch.equal(mixed[2].boxes, mixed[3].boxes)
    assert mixed[0].lam[0] != mixed[2].lam[0]
    (alone,) = UnMix(p_global=0.0)([large], torch.Generator().manual_seed(0))
    assert torch.equal(alone.images, mixed[0].images)
