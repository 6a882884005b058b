"""PuzzleMix's solvers against brute force and against an exact assignment."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from scipy.optimize import linear_sum_assignment

from mixssl.mixing.policies.puzzle_solvers import assign, label_energy, label_grid

LEVELS = torch.tensor([0.0, 0.5, 1.0])


def _problems(count: int, size: int, coupling: float) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    ends = torch.rand(count, 2, size, size, generator=generator)
    level = LEVELS.view(1, -1, 1, 1)
    unary = level * ends[:, :1] + (1 - level) * ends[:, 1:]
    unary = unary + 0.2 * torch.rand(count, 3, 1, 1, generator=generator)
    below = coupling * torch.rand(count, size - 1, size, generator=generator)
    return unary, below, coupling * torch.rand(count, size, size - 1, generator=generator)


@pytest.mark.parametrize("coupling", [0.1, 0.5, 1.0, 2.0, 5.0])
def test_labels_of_small_grids_are_nearly_always_the_best(coupling: float) -> None:
    problems = _problems(30, 3, coupling)
    found = label_energy(*problems, LEVELS, label_grid(*problems, LEVELS))
    every = torch.tensor(list(product(LEVELS.tolist(), repeat=9))).view(-1, 3, 3)
    best = torch.stack(
        [
            label_energy(
                *(p[i : i + 1].expand(len(every), *p.shape[1:]) for p in problems), LEVELS, every
            ).min()
            for i in range(30)
        ]
    )
    assert (found >= best - 1e-5).all()
    assert (found <= best + 1e-5).float().mean() >= 0.85
    assert ((found - best) / best).max() < 0.05


def test_no_single_block_could_be_labelled_better() -> None:
    problems = _problems(4, 6, 1.0)
    grid = label_grid(*problems, LEVELS)
    least = label_energy(*problems, LEVELS, grid)
    for y, x, level in product(range(6), range(6), LEVELS):
        other = grid.clone()
        other[:, y, x] = level
        assert (label_energy(*problems, LEVELS, other) >= least - 1e-5).all()


def test_the_energy_by_hand() -> None:
    unary = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0] * 2] * 2, [[5.0, 6.0], [7.0, 8.0]]]])
    below, right = torch.tensor([[[2.0, 4.0]]]), torch.tensor([[[8.0], [16.0]]])
    grid = torch.tensor([[[0.0, 1.0], [0.5, 0.5]]])
    expected = (1 + 6 + 0 + 0) + 2 * 0.25 + 4 * 0.25 + 8 * 1 + 16 * 0
    assert label_energy(unary, below, right, LEVELS, grid).item() == expected


@pytest.mark.parametrize("size", [2, 4, 8, 14])
def test_an_assignment_is_a_permutation_and_gains_most_of_what_can_be_gained(size: int) -> None:
    generator, n = torch.Generator().manual_seed(size), size * size
    place = torch.stack(torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij"), -1)
    distance = torch.cdist(place.view(-1, 2).float(), place.view(-1, 2).float()) ** 2
    saliency = torch.rand(6, n, generator=generator) ** 3
    shown = (torch.rand(6, n, generator=generator) > 0.5).float()
    saliency = saliency / saliency.sum(dim=1, keepdim=True)
    cost = 0.8 * distance / (size - 1) ** 2 - saliency[:, :, None] * shown[:, None]
    column = assign(cost, size)
    assert torch.equal(column.sort(dim=1).values, torch.arange(n).expand(6, n))
    found = cost.gather(2, column[:, :, None]).sum(dim=(1, 2))
    stayed = cost.diagonal(dim1=1, dim2=2).sum(dim=1)
    best = torch.stack([one[linear_sum_assignment(one.numpy())].sum() for one in cost])
    assert (found <= stayed + 1e-6).all() and (found >= best - 1e-5).all()
    assert (stayed - found).sum() >= 0.9 * (stayed - best).sum() - 1e-5


def test_an_assignment_by_hand() -> None:
    cost = torch.tensor([[[0.0, -1.0, 5.0], [-1.0, 0.0, 5.0], [5.0, 5.0, 0.0]]])
    assert assign(cost, 3).tolist() == [[1, 0, 2]]
    assert assign(-torch.eye(3)[None], 3).tolist() == [[0, 1, 2]]
