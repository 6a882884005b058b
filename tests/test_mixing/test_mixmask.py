"""MixMask: masks by hand, their shares, and what is drawn again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from support.tiny import views
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import MixMask
from mixssl.mixing.mixmask import block_cells
from mixssl.mixing.ops import upsampled


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _fixed(mixer: MixMask, cells: Tensor, monkeypatch: pytest.MonkeyPatch) -> MixMask:
    monkeypatch.setattr(mixer, "draw", lambda _: cells)
    return mixer


def test_discrete_cells_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers above mask_lam show the own image; where cells don't fit, λ counts pixels."""
    monkeypatch.setattr(
        "mixssl.mixing.mixmask.uniform", lambda *_: torch.tensor([0.1, 0.7, 0.6, 0.4])
    )
    mixer = MixMask(kind="discrete", grid=2)
    assert mixer.draw(_generator()).tolist() == [[0, 1], [1, 0]]
    for size, share in ((4, 0.5), (5, 0.48)):
        (mixed,) = mixer(views(4, size), _generator())
        assert mixed.mask is not None and mixed.lam.tolist() == pytest.approx([share] * 4)
        top = [0, 0, 1, 1] if size == 4 else [0, 0, 0, 1, 1]
        assert mixed.mask[0, 0, 0].tolist() == top
        assert mixed.mask[0, 0, -1].tolist() == [1 - value for value in top]
        assert mixed.mask[0, 0].sum(1).tolist() == [2, 2, 2, 2] if size == 4 else [2, 2, 2, 3, 3]


def test_blocks_by_hand() -> None:
    """Three by two cells; two by two that would be one too many; the same, further up."""
    aspect = 0.5 * (1 + torch.tensor(1.5).log() / torch.tensor(1 / 0.3).log()).item()
    numbers: Iterator[tuple[float, ...]] = iter(
        [(0.5, aspect, 0.0, 0.4), (0.0, 0.5, 0.8, 0.0), (0.0, 0.5, 0.4, 0.0)]
    )
    cells = block_cells(4, 8, lambda: next(numbers))
    assert cells.tolist() == [[0, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_ten_blocks_that_do_not_fit_end_a_mask() -> None:
    tried = 0

    def draw() -> tuple[float, ...]:
        nonlocal tried
        tried += 1
        return (0.0, 0.5, 0.0, 0.0)  # the same four cells, again and again

    assert block_cells(4, 8, draw).sum() == 4 and tried == 1 + 10


@pytest.mark.parametrize(
    ("grid", "mask_lam", "mean", "least"),
    [(8, 0.5, 0.499, 0.46), (4, 0.5, 0.499, 0.1), (8, 0.75, 0.748, 0.6)],
)
def test_shares_of_blocks(grid: int, mask_lam: float, mean: float, least: float) -> None:
    """Means and least shares of 4,000 masks of the authors' generator, here of 300."""
    mixer, generator = MixMask(grid=grid, mask_lam=mask_lam), _generator()
    shares = torch.stack([mixer.draw(generator).mean() for _ in range(300)])
    assert shares.mean().item() == pytest.approx(mean, abs=0.01)
    assert least <= shares.min() and shares.max() <= mask_lam
    if grid == 8 and mask_lam == 0.5:
        assert (shares == 0.5).double().mean() > 0.9


def test_discrete_shares() -> None:
    generator = _generator()
    mixer = MixMask(kind="discrete", grid=4, mask_lam=0.75)
    shares = torch.stack([mixer.draw(generator).mean() for _ in range(300)])
    assert shares.mean().item() == pytest.approx(0.25, abs=0.03)


def test_a_mask_without_one_of_the_images_is_drawn_again() -> None:
    mixer = MixMask(kind="discrete", grid=2, mask_lam=0.95)
    generator = _generator()
    for _ in range(20):
        assert len(mixer.draw(generator).unique()) == 2


def test_pixels_take_the_nearest_cell() -> None:
    cells = torch.rand(4, 4, generator=_generator())
    for size in (4, 7, 16, 30):
        expected = F.interpolate(cells[None, None], size=(size, size + 1), mode="nearest")
        assert torch.equal(upsampled(cells, size, size + 1), expected)


def test_both_views_share_mask_and_partners_and_a_random_order_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = MixMask(shuffle=True, views=(0, 1))(views(8), _generator())
    assert first.mask is not None and second.mask is not None
    assert torch.equal(first.mask, second.mask) and torch.equal(first.partner, second.partner)
    assert first.partner.sort().values.tolist() == list(range(8))
    assert first.partner.tolist() != list(range(7, -1, -1))
    whole = _fixed(MixMask(), torch.ones(8, 8), monkeypatch)
    (mixed,) = whole(views(8), _generator())
    assert mixed.partner.tolist() == list(range(7, -1, -1))
    assert torch.equal(mixed.images, views(8)[0]) and (mixed.lam == 1).all()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kind": "blocks"}, "kind of MixMask is 'blocks' and must be one of"),
        ({"grid": 2}, "grid of MixMask is 2 and must be >= 4 for blockwise"),
        ({"grid": 1, "kind": "discrete"}, "grid of MixMask is 1 and must be >= 2 for discrete"),
        ({"mask_lam": 1.0}, r"mask_lam of MixMask is 1.0 and must lie in \(0, 1\)"),
        ({"views": ()}, "views of MixMask"),
    ],
)
def test_arguments_out_of_range_are_refused(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MixMask(**settings)
