"""What PuzzleMix has to solve for each pair of images, for a whole batch at once: labels on a grid, and an assignment.

Shapes: N pairs, B blocks along each side of an image, L levels, n = B·B.
"""

import torch
from torch import Tensor

COOLING = (2.0, 1.4, 1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.05)
"""Temperatures of the annealing, in units of the mean unary range."""
DESCENT = (0.0,) * 6
"""Sweeps of the descent."""


def label_grid(unary: Tensor, below: Tensor, right: Tensor, levels: Tensor) -> Tensor:
    r"""Labels the blocks of grids so that an energy is low, near its minimum.

    .. math:: E(m) = \sum_i u_i(m_i) + \sum_{i \sim j} w_{ij} (m_i - m_j)^2

    Descent block by block (iterated conditional modes) from several starts, all in one batch: the outcome of mean-field
    annealing, the best level of each block alone, and each level everywhere; the lowest is kept. Annealing and descent
    treat the two colours of a chequerboard in turn: within a colour no blocks are neighbours, so that all can be
    updated at once. The descent never raises the energy, and what is returned is optimal in each single block. The α-β
    swap graph cuts of PuzzleMix's authors work pair by pair on the CPU.

    Args:
        unary: Cost of each level in each block, (N, L, B, B), float32.
        below: Weight between a block and that below it, (N, B-1, B).
        right: Weight between a block and that to its right, (N, B, B-1).
        levels: (L,), in [0, 1].

    Returns:
        The level of each block, (N, B, B), float32, each one of ``levels``.
    """
    annealed = _sweep(unary, below, right, levels, torch.full_like(unary[:, 0], 0.5), COOLING)
    constant = levels.view(-1, 1, 1, 1).expand(-1, *annealed.shape)
    starts = torch.cat([annealed[None], levels[unary.argmin(dim=1)][None], constant]).flatten(0, 1)
    count = len(starts) // len(unary)
    alone, below, right = (
        part.repeat(count, *(1,) * (part.ndim - 1)) for part in (unary, below, right)
    )
    grids = _sweep(alone, below, right, levels, starts, DESCENT)
    energy = label_energy(alone, below, right, levels, grids).view(count, -1)
    place = torch.arange(len(unary), device=unary.device)
    return grids.unflatten(0, (count, -1))[energy.argmin(dim=0), place]


def _sweep(
    unary: Tensor,
    below: Tensor,
    right: Tensor,
    levels: Tensor,
    mean: Tensor,
    temperatures: tuple[float, ...],
) -> Tensor:
    """Updates the mean level of all blocks, colour by colour; at temperature 0 to the best level."""
    place = torch.arange(mean.shape[-1], device=mean.device)
    even = (place[:, None] + place) % 2 == 0
    scale = (unary.amax(dim=1) - unary.amin(dim=1)).mean(dim=(1, 2)).clamp_min(1e-12)
    for temperature in temperatures:
        for colour in (even, ~even):
            cost = _conditional_cost(unary, below, right, levels, mean)
            if temperature:
                share = (-cost / (temperature * scale.view(-1, 1, 1, 1))).softmax(dim=1)
                update = torch.einsum("nlyx,l->nyx", share, levels)
            else:
                update = levels[cost.argmin(dim=1)]
            mean = torch.where(colour, update, mean)
    return mean


def _conditional_cost(
    unary: Tensor, below: Tensor, right: Tensor, levels: Tensor, mean: Tensor
) -> Tensor:
    """Expected energy of each level in each block, given its neighbours' mean levels, up to a constant."""
    weight, pull = torch.zeros_like(mean), torch.zeros_like(mean)
    weight[:, :-1] += below
    weight[:, 1:] += below
    weight[:, :, :-1] += right
    weight[:, :, 1:] += right
    pull[:, :-1] += below * mean[:, 1:]
    pull[:, 1:] += below * mean[:, :-1]
    pull[:, :, :-1] += right * mean[:, :, 1:]
    pull[:, :, 1:] += right * mean[:, :, :-1]
    level = levels.view(1, -1, 1, 1)
    return unary + weight[:, None] * level**2 - 2 * pull[:, None] * level


def label_energy(
    unary: Tensor, below: Tensor, right: Tensor, levels: Tensor, grid: Tensor
) -> Tensor:
    """The energy of :func:`label_grid` for given labels.

    Args:
        unary: (N, L, B, B).
        below: (N, B-1, B).
        right: (N, B, B-1).
        levels: (L,).
        grid: (N, B, B), of ``levels``.

    Returns:
        (N,).
    """
    chosen = (grid[:, None] - levels.view(1, -1, 1, 1)).abs().argmin(dim=1, keepdim=True)
    alone = unary.gather(1, chosen).sum(dim=(1, 2, 3))
    vertical = (below * grid.diff(dim=1) ** 2).sum(dim=(1, 2))
    return alone + vertical + (right * grid.diff(dim=2) ** 2).sum(dim=(1, 2))


def assign(cost: Tensor, rounds: int) -> Tensor:
    """Assigns every row a column of its own at a low total cost, by exchanges.

    Row i starts at column i. In each round every row names the row that it would best exchange columns with, and the
    pairs that name each other do, if that lowers the cost; they are disjoint, so that their gains add up. No round
    raises the cost, and the result always is a permutation.

    Args:
        cost: Of row i at column j, (N, n, n), float32.
        rounds: How many; sqrt(n) are enough for blocks on a grid.

    Returns:
        The column of each row, (N, n), int64.
    """
    size = cost.shape[-1]
    place = torch.arange(size, device=cost.device).expand(cost.shape[:2])
    column = place
    for _ in range(rounds):
        swapped = cost.gather(2, column[:, None].expand(-1, size, -1))  # row i where row j is now
        now = swapped.diagonal(dim1=1, dim2=2)
        gain, other = (swapped + swapped.mT - now[:, :, None] - now[:, None]).min(dim=2)
        mutual = (other.gather(1, other) == place) & (gain < 0)
        column = torch.where(mutual, column.gather(1, other), column)
    return column
