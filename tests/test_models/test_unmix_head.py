"""Labels that UnMixHead assigns, and what it refuses."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from support.tiny import build, moco, views

from mixssl.mixing import MixCo, Mixer, UnMix, global_mixture, halves_mixture
from mixssl.models.heads import UnMixHead
from mixssl.structures import EmbeddingId, Pair, Term


def test_cross_pairs_with_the_other_view_in_both_orders() -> None:
    mixed = global_mixture(views(4)[0], 0, torch.tensor([0.25]))
    normal, reverse = UnMixHead().terms([mixed], 2)
    assert (normal.online, normal.target, normal.name) == (
        EmbeddingId(2),
        EmbeddingId(1),
        "loss_mix",
    )
    assert (reverse.online, reverse.target) == (EmbeddingId(2), EmbeddingId(1))
    assert torch.equal(normal.rows, mixed.index) and torch.equal(reverse.rows, mixed.partner)
    assert torch.equal(normal.weight, torch.full((4,), 0.25))
    assert torch.equal(reverse.weight, torch.full((4,), 0.75))


def test_all_adds_the_mixtures_own_view() -> None:
    mixed = global_mixture(views(4)[0], 0, torch.tensor([0.25]))
    terms = UnMixHead(pairing="all", loss_weight=2.0).terms([mixed], 2)
    assert [term.target.view for term in terms] == [0, 0, 1, 1]
    assert [term.weight[0].item() for term in terms] == [0.5, 1.5, 0.5, 1.5]


def _ends(term: Term) -> tuple[EmbeddingId, EmbeddingId]:
    return term.online, term.target


def test_own_pairs_with_the_mixtures_own_view_alone() -> None:
    mixed = global_mixture(views(4)[0], 0, torch.tensor([0.25]))
    normal, reverse = UnMixHead(pairing="own").terms([mixed], 2)
    assert _ends(normal) == _ends(reverse) == (EmbeddingId(2), EmbeddingId(0))
    assert torch.equal(normal.rows, mixed.index) and torch.equal(reverse.rows, mixed.partner)
    assert torch.equal(normal.weight, 1 - reverse.weight)
    second = global_mixture(views(4)[1], 1, torch.tensor([0.25]))
    terms = UnMixHead(pairing="own").terms([mixed, second], 4)
    assert [_ends(term) for term in terms[::2]] == [
        (EmbeddingId(4), EmbeddingId(0)),
        (EmbeddingId(5), EmbeddingId(1)),
    ]


def test_mutual_hands_the_method_pairs_in_both_orders() -> None:
    mixed = global_mixture(views(4)[0], 0, torch.tensor([0.25]))
    normal, reverse = UnMixHead(pairing="mutual").terms([mixed], 2)
    assert isinstance(normal, Pair) and isinstance(reverse, Pair)
    assert (normal.first, normal.second) == (reverse.first, reverse.second)
    assert (normal.first, normal.second) == (EmbeddingId(2), EmbeddingId(1))
    assert torch.equal(normal.rows, mixed.index) and torch.equal(reverse.rows, mixed.partner)
    assert torch.equal(normal.weight, 1 - reverse.weight)


def test_mixed_compares_the_two_mixtures_at_full_weight() -> None:
    x = views(4)
    mixtures = UnMix(views=(0, 1))(x, torch.Generator().manual_seed(0))
    assert UnMixHead(pairing="mixed").terms(mixtures, 2) == [Pair(EmbeddingId(2), EmbeddingId(3))]
    with pytest.raises(ValueError, match=r"set views=\(0, 1\) in the mixer"):
        UnMixHead(pairing="mixed").terms(mixtures[:1], 2)


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(
        ValueError,
        match="pairing of UnMixHead is 'both' and must be one of cross, own, all, mutual, mixed",
    ):
        UnMixHead(pairing="both")
    with pytest.raises(ValueError, match="loss_weight of UnMixHead is -1"):
        UnMixHead(loss_weight=-1)


class _Quarters(UnMix):
    layout: ClassVar[str] = "quarters"


def test_a_mixer_the_head_cant_read_is_refused() -> None:
    assert issubclass(_Quarters, Mixer)
    with pytest.raises(
        ValueError,
        match="UnMixHead reads mixtures laid out as rows or half, and _Quarters makes them",
    ):
        build(
            moco(
                data_preprocessor={
                    "type": "mixssl.InstanceMixDataPreprocessor",
                    "mixer": _Quarters(),
                }
            )
            | {"mix_head": {"type": "mixssl.UnMixHead"}}
        )


def test_mixtures_of_halves_are_compared_with_both_their_images() -> None:
    lam = torch.rand(4)
    own, other = UnMixHead(loss_weight=2.0).terms([halves_mixture(views()[0], 0, lam)], clean=2)
    assert (
        (own.online, own.target) == (other.online, other.target) == (EmbeddingId(2), EmbeddingId(1))
    )
    assert own.rows.tolist() == [0, 1, 2, 3]
    assert other.rows.tolist() == [4, 5, 6, 7]
    assert torch.allclose(own.weight, 2 * lam)
    assert torch.allclose(other.weight, 2 * (1 - lam))


@pytest.mark.parametrize("pairing", ["mutual", "mixed"])
def test_halves_cannot_take_the_place_of_a_batch(pairing: str) -> None:
    with pytest.raises(ValueError, match=f"{pairing}.*MixCo mixes one half.*set pairing='cross'"):
        UnMixHead(pairing=pairing).check_mixer(MixCo(views=(0, 1)))


def test_the_clean_loss_can_be_left_out() -> None:
    """The mixture's loss is then all, the clean view is not encoded, and the bank is filled as with it."""
    losses, passes, queues = [], [], []
    for keep in (True, False):
        head = {"type": "mixssl.UnMixHead", "keep_clean": keep}
        model = build(moco(mixer={"type": "mixssl.CutMix"}, mix_head=head))
        count: list[int] = []
        model.backbone.register_forward_hook(lambda *_, count=count: count.append(1))
        data = model.data_preprocessor({"inputs": views(), "data_samples": None}, True)
        losses.append(model(**data, mode="loss"))
        model.after_optimizer_step()
        passes.append(len(count))
        queues.append(model.queue)
    both, alone = losses
    assert both.keys() == {"loss_clean", "loss_mix"} and alone.keys() == {"loss_mix"}
    assert torch.equal(both["loss_mix"], alone["loss_mix"])
    assert passes == [2, 1] and torch.equal(*queues)
    with pytest.raises(ValueError, match="would begin without any loss: set it to 0"):
        UnMixHead(keep_clean=False, warmup_epochs=1.0)
