"""λ, box, partner, and the generator of a step."""

from __future__ import annotations

import pytest
import torch
from scipy import stats

from mixssl.mixing import StepRandom, beta, cut_boxes, random_partner, reverse_partner


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 2.0])
def test_beta_has_its_distribution(alpha: float) -> None:
    draws = beta(alpha, 4000, _generator())
    assert draws.dtype == torch.float64
    assert ((draws >= 0) & (draws <= 1)).all()
    assert stats.kstest(draws.numpy(), stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_reverse_partner_pairs_first_with_last_and_is_an_involution() -> None:
    partner = reverse_partner(5)
    assert partner.tolist() == [4, 3, 2, 1, 0]
    assert torch.equal(partner[partner], torch.arange(5))


def test_boxes_follow_the_paper_by_hand() -> None:
    """λ = 0.75 on 8 × 16: sides 4 and 8, half sides 2 and 4 around the centre drawn from the same generator."""
    lam = torch.tensor([0.75], dtype=torch.float64)
    boxes, exact = cut_boxes(lam, 8, 16, _generator(3))
    draw = torch.rand(1, 2, generator=_generator(3), dtype=torch.float64)
    row, column = int(draw[0, 0] * 8), int(draw[0, 1] * 16)
    expected = [max(row - 2, 0), max(column - 4, 0), min(row + 2, 8), min(column + 4, 16)]
    assert boxes.tolist() == [expected]
    area = (expected[2] - expected[0]) * (expected[3] - expected[1])
    assert exact.item() == pytest.approx(1 - area / 128)


def test_boxes_lie_in_the_image_and_lam_is_what_they_leave() -> None:
    boxes, lam = cut_boxes(torch.rand(2000, generator=_generator(1)), 12, 20, _generator(2))
    top, left, bottom, right = boxes.unbind(1)
    assert (top >= 0).all() and (left >= 0).all()
    assert (bottom <= 12).all() and (right <= 20).all()
    assert (top <= bottom).all() and (left <= right).all()
    assert torch.allclose(lam, 1 - ((bottom - top) * (right - left)).double() / 240)
    assert bottom.max() == 12 and right.max() == 20 and top.min() == 0 and left.min() == 0


def test_boxes_are_empty_at_one_and_whole_at_most_at_zero() -> None:
    boxes, lam = cut_boxes(torch.ones(50), 32, 32, _generator())
    assert torch.equal(boxes[:, :2], boxes[:, 2:])
    assert (lam == 1).all()
    _, lam = cut_boxes(torch.zeros(200), 32, 32, _generator())
    assert lam.min() < 0.05 and lam.max() <= 0.75


def test_same_seed_and_step_give_the_same_draws() -> None:
    one, two = StepRandom(7), StepRandom(7)
    first = [torch.rand(3, generator=one()) for _ in range(4)]
    second = [torch.rand(3, generator=two()) for _ in range(4)]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert len({tuple(draw.tolist()) for draw in first}) == 4
    assert not torch.equal(torch.rand(3, generator=StepRandom(8)()), first[0])


def test_a_restored_state_goes_on_where_it_was() -> None:
    random = StepRandom(7)
    for _ in range(3):
        random()
    restored = StepRandom(None)
    restored.load_state_dict(random.state_dict())
    assert torch.equal(torch.rand(5, generator=restored()), torch.rand(5, generator=random()))
    assert restored.step.item() == 4


def test_an_unset_seed_is_torchs_and_leaves_torchs_generator_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = torch.rand(3, generator=StepRandom()())
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(5)
    torch.rand(100)
    assert torch.equal(first, torch.rand(3, generator=StepRandom()()))


def test_consecutive_steps_are_not_correlated() -> None:
    random = StepRandom(0)
    draws = torch.stack(
        [torch.rand(2, generator=random(), dtype=torch.float64) for _ in range(4000)]
    )
    assert stats.kstest(draws[:, 0].numpy(), "uniform").pvalue > 0.01
    assert abs(torch.corrcoef(torch.stack([draws[:-1, 0], draws[1:, 0]]))[0, 1]) < 0.05


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(ValueError, match=rf"{seed}.*\[0, 2\^63\)"):
        StepRandom(seed)


def test_random_partners_are_permutations_that_change() -> None:
    draws = [random_partner(7, _generator(seed)) for seed in range(5)]
    assert all(draw.sort().values.tolist() == list(range(7)) for draw in draws)
    assert len({tuple(draw.tolist()) for draw in draws}) == 5
    assert torch.equal(random_partner(7, _generator(3)), draws[3])
