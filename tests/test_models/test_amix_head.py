"""What AMixHead has compared."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import AMix, UnMix
from mixssl.models.heads import AMixHead
from mixssl.models.losses import two_way_cross_entropy
from mixssl.structures import EmbeddingId, Term, TwoWayTerm


def _mixtures(**options):
    return AMix(**options)(views(6), torch.Generator().manual_seed(0))


def test_amix_i_compares_across_views_and_names_whom_it_teaches() -> None:
    mixtures = _mixtures()
    terms = AMixHead(block_weight=0.5, loss_weight=2.0, temperature=0.1).terms(mixtures, clean=2)
    assert {term.target for term in terms} == {EmbeddingId(1)}
    named = [(term.online.view, term.name, type(term)) for term in terms]
    assert named == [
        (2, "loss_mix", Term),
        (2, "loss_mix", Term),
        (3, "loss_block", Term),
        (3, "loss_block", Term),
        (3, "loss_block_two_way", TwoWayTerm),
    ]
    own, other, block_own, block_other, duel = terms
    assert torch.equal(own.weight, 2 * mixtures[0].lam)
    assert torch.equal(other.weight, 2 * (1 - mixtures[0].lam))
    assert torch.equal(block_own.weight, 0.5 * mixtures[1].lam)
    assert torch.equal(block_other.rows, mixtures[1].partner)
    assert duel.weight == 0.5 and duel.temperature == 0.1
    assert torch.equal(duel.partner, mixtures[1].partner) and torch.equal(duel.lam, mixtures[1].lam)


def test_parts_are_chosen_by_name() -> None:
    head = AMixHead(encoder=("two_way",), block=("two_way", "two_way"))
    names = [term.name for term in head.terms(_mixtures(), clean=2)]
    assert names == ["loss_mix_two_way", "loss_block_two_way"]


def test_each_mixed_view_is_compared_with_the_other() -> None:
    terms = AMixHead(block=("two_way",)).terms(_mixtures(views=(0, 1)), clean=2)
    assert {(term.online.view, term.target.view) for term in terms} == {
        (2, 1),
        (3, 1),
        (4, 0),
        (5, 0),
    }


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"encoder": ()}, "encoder of AMixHead"),
        ({"block": ("contrast", "ce")}, "block of AMixHead"),
        ({"block": "contrast"}, "block of AMixHead"),
        ({"temperature": 0.0}, "temperature of AMixHead is 0.0"),
        ({"block_weight": -1.0}, "block_weight of AMixHead is -1.0"),
    ],
)
def test_what_is_out_of_range_is_refused(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        AMixHead(**options)


def test_a_mixer_of_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="UnMix"):
        AMixHead().check_mixer(UnMix())


def test_two_way_by_hand_and_at_its_limits() -> None:
    """λ .25, logits 1 and 2: the formula as it is written, in float64."""
    own, other = torch.tensor([1.0, 1.0, 900.0]), torch.tensor([2.0, 2.0, -900.0])
    lam = torch.tensor([0.25, 1.0, 0.0])
    found = two_way_cross_entropy(own, other, lam)
    sigma = 1 / (1 + torch.tensor(1.0, dtype=torch.float64).exp())
    assert found[0].item() == pytest.approx(
        (-0.25 * sigma.log() - 0.75 * (1 - sigma).log()).item(), rel=1e-6
    )
    assert found[1].item() == pytest.approx(-sigma.log().item(), rel=1e-6)
    assert found[2].item() == pytest.approx(1800.0)


def test_two_way_is_least_where_the_choice_is_as_likely_as_lam() -> None:
    lam = torch.tensor([0.3], dtype=torch.float64)
    gap = (lam / (1 - lam)).log().requires_grad_()
    two_way_cross_entropy(gap, torch.zeros(1, dtype=torch.float64), lam).sum().backward()
    assert gap.grad.abs().item() < 1e-12
