"""Several mixers: whose draws are whose, and which views."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views
from torch import Tensor

from mixssl.mixing import DeferredMixture, InterIntra, MixCo, Mixer, MixMask, ScaleMix, Stack, UnMix
from mixssl.structures import MixedView


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _same(one: MixedView, other: MixedView) -> bool:
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b
        for a, b in zip(one, other, strict=True)
    )


def test_the_first_draws_what_it_draws_alone_and_one_that_is_added_changes_no_other() -> None:
    x = views(8)
    alone = UnMix()(x, _generator())
    two = Stack([UnMix(), MixCo()])(x, _generator())
    three = Stack([UnMix(), MixCo(), UnMix()])(x, _generator())
    assert _same(alone[0], two[0]) and all(map(_same, two, three))
    assert [mixed.stacked for mixed in three] == [0, 1, 2]
    assert not torch.equal(three[0].lam, three[2].lam), "the same mixer draws anew in another place"
    longer = Stack([MixMask(kind="discrete"), MixCo()])(x, _generator())
    assert _same(longer[1], two[1]), "however much the first has drawn"


def test_streams_follow_from_the_step() -> None:
    x, mixer = views(8), Stack([UnMix(), UnMix()])
    lams = [mixer(x, _generator(seed))[1].lam[0].item() for seed in range(4)]
    assert len(set(lams)) == 4


def test_each_gets_the_further_views_that_it_asks_for() -> None:
    """Two clean views, then those of each mixer, which the record gives their number among all."""
    x = [torch.full((4, 1, 8, 8), float(number)) for number in range(5)]
    mixer = Stack([ScaleMix(), UnMix(views=(0, 1)), ScaleMix(views=(1,))])
    assert (mixer.extra_views, mixer.views, mixer.shared_lam) == (2, (0, 1), False)
    first, _, other, last = mixer(x[:4], _generator())
    assert (first.source, first.partner_view) == (0, 2)
    assert (other.source, other.partner_view) == (1, 1)
    assert (last.source, last.partner_view) == (1, 3)
    assert first.images is not None and set(first.images.unique().tolist()) == {0.0, 2.0}
    assert last.images is not None and set(last.images.unique().tolist()) == {1.0, 3.0}
    with pytest.raises(ValueError, match="set num_views of MultiView"):
        mixer(x[:3], _generator())


def test_a_mixture_that_waits_for_clusters_knows_its_place() -> None:
    mixer: Mixer = Stack([UnMix(), InterIntra()])
    assert mixer.clusters and not Stack([UnMix()]).clusters
    _, waiting = mixer(views(8), _generator())
    assert isinstance(waiting, DeferredMixture)
    mixed = waiting.render(torch.arange(8) % 2, lambda images: images.abs().mean(dim=1))
    assert mixed.stacked == 1


@pytest.mark.parametrize(
    ("mixers", "said"),
    [
        ([], "mixers of Stack is empty"),
        ([{"type": "mixssl.MultiScale", "mixer": {"type": "mixssl.UnMix"}}], "can't carry Multi"),
        ([{"type": "mixssl.Stack", "mixers": [{"type": "mixssl.UnMix"}]}], "can't carry Stack"),
    ],
)
def test_what_cannot_be_stacked_is_refused(mixers: list, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Stack(mixers)
