"""PuzzleMix: its energy against the paper's, block by block, and what it does with pixels."""

from __future__ import annotations

import math

import pytest
import torch
from support.tiny import views
from torch.nn import functional as F

from mixssl.mixing import PuzzleMix, random_partner
from mixssl.mixing.policies.puzzle_solvers import label_energy
from mixssl.mixing.policies.puzzlemix import (
    block_saliency,
    label_costs,
    move_blocks,
    transport_cost,
)

BETA, GAMMA, ETA = 1.2, 0.5, 0.2


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _gap(upper: torch.Tensor, lower: torch.Tensor) -> float:
    """Mean absolute difference of two rows of pixels along a border, in cells of 2, at a quarter of the contrast."""
    one, two = (row.unflatten(-1, (-1, 2)).mean(dim=(-3, -1)) for row in (upper, lower))
    return (one - two).abs().mean().item() / 4


def _naive_energy(x: list, s: list, lam: float, grid: torch.Tensor, step: int) -> float:
    """The energy of a mask of zeros and ones, as a sum over blocks and borders; index 1 is the own image."""
    size, total = len(grid), 0.0
    for i in range(size):
        for k in range(size):
            here = int(grid[i, k])
            total += s[1 - here][i, k].item()
            total -= ETA / size**2 * math.log((lam if here else 1 - lam) ** 2 + 1e-8)
            for down, image in ((True, x), (False, [y.mT for y in x])):
                a, b = (i, k) if down else (k, i)
                if a == size - 1:
                    continue
                there = int(grid[i + 1, k] if down else grid[i, k + 1])
                span, edge = slice(b * step, (b + 1) * step), (a + 1) * step
                upper, lower = (
                    image[here][:, edge - 2 : edge, span],
                    image[there][:, edge : edge + 2, span],
                )
                total += BETA / size / 16 * ((here - there) ** 2 + GAMMA * _gap(upper, lower))
    return total


def test_the_energy_is_the_papers_up_to_a_constant() -> None:
    x, partner = torch.randn(2, 3, 18, 18, generator=_generator()), torch.tensor([1, 0])
    saliency, levels = block_saliency(x, 3), torch.tensor([0.0, 0.5, 1.0])
    lam = torch.tensor([0.3, 0.9])
    costs = label_costs(x, partner, saliency, lam, levels, (BETA, GAMMA, ETA))
    for row in range(2):
        differences = []
        for seed in range(6):
            grid = torch.rand(3, 3, generator=_generator(seed)).round()
            images, saliences = [x[1 - row], x[row]], [saliency[1 - row], saliency[row]]
            naive = _naive_energy(images, saliences, lam[row].item(), grid, 6)
            one = [part[row : row + 1] for part in costs]
            differences.append(label_energy(*one, levels, grid[None]).item() - naive)
        assert max(differences) - min(differences) < 1e-5


def test_blocks_move_by_hand() -> None:
    image = torch.arange(16.0).view(1, 1, 4, 4)
    moved = move_blocks(image, torch.tensor([[1, 0, 2, 3]]), 2)
    assert moved[0, 0].tolist() == [[2, 3, 0, 1], [6, 7, 4, 5], [8, 9, 10, 11], [12, 13, 14, 15]]
    turned = move_blocks(image, torch.tensor([[1, 2, 0, 3]]), 2)  # block 0 to 1, 1 to 2, 2 to 0
    assert turned[0, 0, 0].tolist() == [8, 9, 0, 1] and turned[0, 0, 2, :2].tolist() == [2, 3]


def test_transport_costs_distance_and_earns_salience_by_hand() -> None:
    saliency = torch.tensor([[[0.4, 0.3], [0.2, 0.1]]])
    shown = torch.tensor([[[0.0, 0.5], [1.0, 0.0]]])
    cost = transport_cost(saliency, shown, 0.8)[0]
    assert torch.allclose(cost[0], torch.tensor([0.0, 0.8 - 0.4, 0.8 - 0.4, 1.6]))
    assert torch.allclose(cost[3], torch.tensor([1.6, 0.8 - 0.1, 0.8 - 0.1, 0.0]))


def test_without_transport_pixels_stay_at_their_place() -> None:
    x = views(6, 32)
    for seed in range(10):
        (mixed,) = PuzzleMix(transport=False)(x, _generator(seed))
        own, other = x[0], x[0][mixed.partner]
        assert torch.allclose(mixed.images, mixed.mask * own + (1 - mixed.mask) * other, atol=1e-6)
        assert set(mixed.mask.unique().tolist()) <= {0.0, 0.5, 1.0}


def _tiles(images: torch.Tensor, blocks: int) -> torch.Tensor:
    side = images.shape[-1] // blocks
    return (
        images.unfold(1, side, side).unfold(2, side, side).flatten(1, 2).transpose(0, 1).flatten(1)
    )


def test_with_transport_every_block_is_one_of_its_images_blocks() -> None:
    coarse = torch.randn(6, 3, 8, 8, generator=_generator())
    x = [F.interpolate(coarse, (32, 32), mode="bicubic") + 0.1 * view for view in views(6, 32)]
    mixer, moved = PuzzleMix(blocks=(8,), levels=2, beta=0.2, move_cost=0.01), 0
    for seed in range(6):
        (mixed,) = mixer(x, _generator(seed))
        for i in range(6):
            shown = _tiles(mixed.images[i], 8)
            weight = _tiles(mixed.mask[i], 8)[:, 0]
            for source, level in ((i, 1.0), (mixed.partner[i], 0.0)):
                distance = torch.cdist(
                    shown[weight == level],
                    _tiles(x[0][source], 8),
                    compute_mode="donot_use_mm_for_euclid_dist",
                )
                origin = distance.argmin(dim=1)
                assert (distance.amin(dim=1) < 1e-3).all()
                assert len(origin.unique()) == len(origin), "no block is shown twice"
                moved += (origin != torch.arange(64)[weight == level]).sum().item()
    assert moved > 0


def test_what_is_salient_in_both_images_is_shown() -> None:
    x = torch.zeros(2, 3, 32, 32)
    x[0, :, 2:6, 2:6] = 3.0
    x[1, :, 26:30, 26:30] = -3.0
    for seed in range(40):
        (mixed,) = PuzzleMix(blocks=(4,), alpha=8.0, eta=0.05)([x, x], _generator(seed))
        if mixed.partner.tolist() == [1, 0]:
            assert mixed.images[0].max() >= 1.5 and mixed.images[0].min() <= -1.5
            return
    pytest.fail("no draw paired the images")


def test_the_masks_mean_follows_lam() -> None:
    x, mixer, aimed, found = views(16, 32), PuzzleMix(per_sample=True, transport=False), [], []
    for seed in range(10):
        generator = _generator(seed)
        random_partner(16, generator)
        aimed.append(mixer.draw(16, 32, 32, generator).lam)
        found.append(mixer(x, _generator(seed))[0].lam)
    assert torch.corrcoef(torch.stack([torch.cat(aimed).float(), torch.cat(found)]))[0, 1] > 0.9


def test_images_need_not_be_square() -> None:
    x = torch.randn(4, 3, 24, 40, generator=_generator())
    for seed in range(5):
        (mixed,) = PuzzleMix()([x, x], _generator(seed))
        assert mixed.images.shape == x.shape and mixed.mask.shape == (4, 1, 24, 40)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"blocks": (1, 2)}, r"blocks of PuzzleMix is \(1, 2\) and must be sizes >= 2"),
        ({"levels": 1}, "levels of PuzzleMix is 1 and must be >= 2"),
        ({"beta": -1.0}, "beta of PuzzleMix is -1.0 and must be >= 0"),
        ({"move_cost": float("nan")}, "move_cost of PuzzleMix is nan"),
    ],
)
def test_arguments_out_of_range_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PuzzleMix(**kwargs)


def test_a_grid_that_fits_no_image_is_refused() -> None:
    with pytest.raises(
        ValueError,
        match=r"blocks of PuzzleMix is \(2, 4, 8, 16\) and none divides images of 15 x 15 into blocks",
    ):
        PuzzleMix()(views(2, 15), _generator())
