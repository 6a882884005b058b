"""PuzzleMix: masks that keep what is salient in both images, and blocks moved to where the masks show them."""

from collections.abc import Sequence
from math import comb, gcd
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing.deferred import Saliency
from mixssl.mixing.ops import mask_blend, rows_mixture
from mixssl.mixing.policies.base import BetaPolicy
from mixssl.mixing.policies.puzzle_solvers import assign, label_grid
from mixssl.mixing.saliency import center_surround
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require

_PIXEL_STD = 0.25
"""About what normalisation divides pixels in [0, 1] by: the smoothness weights are meant for those."""


class Draw(NamedTuple):
    """λ, (1,) or (N,), how many blocks there are along each side, and how saliency is measured."""

    lam: Tensor
    blocks: int
    measure: Saliency = center_surround


@MIXERS.register_module()
class PuzzleMix(BetaPolicy[Draw]):
    """Optimises, for each pair of images, a mask on a grid of blocks and the blocks' places (Kim et al. 2020, §4).

    Kept from the paper and its code: the energy of the mask, with saliency lost, label smoothness (``beta``), data
    smoothness (``gamma``) and the prior for λ (``eta``); a grid size drawn anew for each batch; the transport's cost,
    saliency shown minus ``move_cost`` times the squared distance, and that it permutes blocks; the levels between 0 and
    1; λ measured from the mask.

    Different, so that a batch is solved at once on the device and without labels: saliency is
    :func:`~mixssl.mixing.saliency.center_surround` of the image in place of the gradient of a clean supervised loss;
    the mask's minimisation is :func:`~mixssl.mixing.policies.puzzle_solvers.label_grid` in place of graph cuts, the
    transport :func:`~mixssl.mixing.policies.puzzle_solvers.assign`, which never loses or doubles a block; blocks move
    on the mask's grid, not on a finer one; smoothness is measured on normalised pixels, scaled back by a fixed 0.25;
    there is no adversarial noise. λ differs from image to image even where the one aimed at is the batch's.

    The transport works on B⁴ numbers per image: little on a GPU, but with 16 blocks a matter of seconds on a CPU core.

    Args:
        alpha: Of the λ ~ Beta(alpha, alpha) that is aimed at, > 0.
        blocks: Sizes of grid to draw from, each >= 2; those that don't divide both sides of the images, into blocks of
            at least 2 x 2 pixels, are left out.
        levels: Number of levels of the mask, >= 2.
        beta: Weight of label smoothness, >= 0.
        gamma: Weight of data smoothness, relative to ``beta``, >= 0.
        eta: Weight of the prior that pulls the mask's mean to λ, >= 0.
        transport: Whether to move blocks; without it pixels stay at their place.
        move_cost: Of moving a block along a whole side, >= 0, in units of an image's saliency.
        per_sample: Whether each image aims at a λ of its own.
        views: Clean views to mix, with the same partners and the same λ to aim at; each has masks of its own.

    Raises:
        ValueError: If an argument lies outside its range, or no size of grid divides the images.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        blocks: Sequence[int] = (2, 4, 8, 16),
        levels: int = 3,
        beta: float = 1.2,
        gamma: float = 0.5,
        eta: float = 0.2,
        transport: bool = True,
        move_cost: float = 0.8,
        per_sample: bool = False,
        views: Sequence[int] = (0,),
    ) -> None:
        super().__init__(alpha, per_sample, views)
        self.shared_lam = False
        if not blocks or min(blocks) < 2:
            raise ValueError(
                f"blocks of PuzzleMix is {tuple(blocks)} and must be sizes >= 2, like (2, 4, 8)"
            )
        require(">= 2", self, "the authors use 3", levels=levels)
        require(">= 0", self, beta=beta, gamma=gamma, eta=eta, move_cost=move_cost)
        self.blocks = tuple(blocks)
        self.levels = levels
        self.beta = beta
        self.gamma = gamma
        self.eta = eta
        self.transport = transport
        self.move_cost = move_cost

    def draw(self, count: int, height: int, width: int, generator: torch.Generator) -> Draw:
        """Draws λ and the size of the grid."""
        sides = (height, width)
        fitting = [n for n in self.blocks if all(side % n == 0 and side >= 2 * n for side in sides)]
        if not fitting:
            raise ValueError(
                f"blocks of PuzzleMix is {self.blocks} and none divides images of {height} x {width} into blocks "
                "of 2 x 2 pixels or more: add one that does"
            )
        lam = self.draw_lam(count, generator)
        return Draw(lam, fitting[int(torch.randint(len(fitting), (), generator=generator))])

    def render(self, images: Tensor, source: int, partner: Tensor, draw: Draw) -> MixedView:
        """Solves for masks and places, then mixes; see :meth:`Policy.render`."""
        size, blocks = len(images), draw.blocks
        lam = draw.lam.float().to(images.device, non_blocking=True).expand(size)
        saliency = block_saliency(images, blocks, draw.measure)
        levels = torch.linspace(0, 1, self.levels, device=images.device)
        weights = (self.beta, self.gamma, self.eta)
        grid = label_grid(*label_costs(images, partner, saliency, lam, levels, weights), levels)
        own, other = images, images[partner]
        if self.transport:
            own = self._move(own, saliency, grid)
            other = self._move(other, saliency[partner], 1 - grid)
        height, width = (side // blocks for side in images.shape[-2:])
        mask = grid.repeat_interleave(height, 1).repeat_interleave(width, 2)[:, None]
        mixed = mask_blend(own, other, mask)
        return rows_mixture(mixed, source, partner, grid.mean(dim=(1, 2)), mask)

    def _move(self, images: Tensor, saliency: Tensor, shown: Tensor) -> Tensor:
        """Moves each image's blocks to where the mask shows them."""
        cost = transport_cost(saliency, shown, self.move_cost)
        return move_blocks(images, assign(cost, shown.shape[-1]), shown.shape[-1])


def block_saliency(images: Tensor, blocks: int, measure: Saliency = center_surround) -> Tensor:
    """Share of an image's saliency in each block: (N, B, B), float32, summing to 1."""
    saliency = F.adaptive_avg_pool2d(measure(images), blocks) + 1e-12
    return saliency / saliency.sum(dim=(1, 2), keepdim=True)


def label_costs(
    images: Tensor,
    partner: Tensor,
    saliency: Tensor,
    lam: Tensor,
    levels: Tensor,
    weights: tuple[float, float, float],
) -> tuple[Tensor, Tensor, Tensor]:
    """Builds the energy of the masks (Kim et al. 2020, §4.1, with the scaling of the authors' code).

    A mask of level m in a block loses m of the partner's saliency there and 1 - m of the own image's. Neighbouring
    blocks of different levels cost ``beta``, more where the pixels on both sides of their border match less well than
    within each image.

    Args:
        images: (N, C, H, W), normalised.
        partner: (N,), int64.
        saliency: Of the blocks, (N, B, B).
        lam: (N,), in [0, 1].
        levels: (L,), evenly from 0 to 1.
        weights: beta, gamma and eta.

    Returns:
        unary (N, L, B, B), below (N, B-1, B) and right (N, B, B-1), as :func:`label_grid` takes them.
    """
    blocks = saliency.shape[-1]
    beta, gamma, eta = weights
    beta = beta / blocks / 16
    down = _data_smoothness(images, partner, blocks)
    across = [part.mT for part in _data_smoothness(images.mT, partner, blocks)]
    (below, right), own, other = ([d, a] for d, a in zip(down, across, strict=True))
    level = levels.view(1, -1, 1, 1)
    shown = saliency[partner] + beta * gamma * sum(own)  # what level 1 costs
    hidden = saliency + beta * gamma * sum(other)  # what level 0 costs
    prior = _prior(lam, len(levels)) * (eta / blocks**2)
    unary = level * shown[:, None] + (1 - level) * hidden[:, None] + prior[:, :, None, None]
    return unary, beta * (1 + gamma * below), beta * (1 + gamma * right)


def _prior(lam: Tensor, levels: int) -> Tensor:
    """Negative log-probability of each level, as of so many coins that show the own image by λ: (N, L)."""
    top = levels - 1
    chance = [comb(top, k) * lam**k * (1 - lam) ** (top - k) for k in range(levels)]
    return -(torch.stack(chance, dim=1) + 1e-8).log()


def _data_smoothness(images: Tensor, partner: Tensor, blocks: int) -> tuple[Tensor, Tensor, Tensor]:
    """Splits how badly vertical neighbours match into what blocks cost alone and what their difference costs.

    With d(a, b) the gap between a block of image a and one of image b below it, the costs below add up to d for every
    choice of images, but for a constant.

    Args:
        images: (N, C, H, W).
        partner: (N,).
        blocks: B.

    Returns:
        below: Of different images, (N, B-1, B); may be negative.
        own: Of showing the own image in a block, (N, B, B).
        other: Of showing the partner there, (N, B, B).
    """
    height, width = (side // blocks for side in images.shape[-2:])
    cell = gcd(height, width, 4)  # the authors' neighbourhood, as far as it divides a block
    fine = F.avg_pool2d(images.float() * _PIXEL_STD, cell)
    step = height // cell
    upper, lower = fine[:, :, step - 1 : -1 : step], fine[:, :, step::step]

    def gap(one: Tensor, two: Tensor) -> Tensor:
        return (one - two).abs().mean(dim=1).unflatten(-1, (blocks, -1)).mean(dim=-1)

    oo, op = gap(upper, lower), gap(upper, lower[partner])
    po, pp = gap(upper[partner], lower), gap(upper[partner], lower[partner])
    first, second = (0, 0, 0, 1), (0, 0, 1, 0)  # the block above a border, and that below it
    own = F.pad(oo + op, first) + F.pad(oo + po, second)
    other = F.pad(pp + po, first) + F.pad(pp + op, second)
    return (op + po - oo - pp) / 2, own / 2, other / 2


def transport_cost(saliency: Tensor, shown: Tensor, move_cost: float) -> Tensor:
    """Cost of moving each block to each place (Kim et al. 2020, §4.2).

    Args:
        saliency: (N, B, B).
        shown: The image's share of the mask, (N, B, B); saliency counts wherever it is above 0 (the authors' code).
        move_cost: Of a whole side, >= 0.

    Returns:
        (N, B·B, B·B), from rows to columns.
    """
    blocks = saliency.shape[-1]
    place = torch.arange(blocks * blocks, device=saliency.device)
    row, column = place // blocks, place % blocks
    distance = (row[:, None] - row) ** 2 + (column[:, None] - column) ** 2
    gain = saliency.flatten(1)[:, :, None] * (shown.flatten(1) > 0)[:, None]
    return distance * (move_cost / (blocks - 1) ** 2) - gain


def move_blocks(images: Tensor, places: Tensor, blocks: int) -> Tensor:
    """Moves the blocks of images.

    Args:
        images: (N, C, H, W), H and W divisible by ``blocks``.
        places: Where each block goes, row by row of blocks, a permutation, (N, B·B), int64.
        blocks: B.

    Returns:
        A new tensor like ``images``.
    """
    size, channels, height, width = images.shape
    tiles = images.unflatten(3, (blocks, -1)).unflatten(2, (blocks, -1)).permute(0, 2, 4, 1, 3, 5)
    origin = places.argsort(dim=1)
    rows = torch.arange(size, device=images.device)[:, None]
    moved = tiles.flatten(1, 2)[rows, origin].unflatten(1, (blocks, blocks))
    return moved.permute(0, 3, 1, 4, 2, 5).reshape(size, channels, height, width)
