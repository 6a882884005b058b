"""Labels that the heads of local/global CutMix assign, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from support.regions import inter_head, intra_head, moco_with_regions
from support.tiny import build, moco, preprocessor, views

from mixssl.mixing import InterCutMix, IntraCutMix, global_mixture
from mixssl.models.heads import InterLocalGlobalHead, IntraLocalGlobalHead
from mixssl.structures import GLOBAL, IMAGE, LOCAL, EmbeddingId


def _inter() -> list:
    return InterCutMix()(views(4), torch.Generator().manual_seed(0))


def _intra() -> list:
    return IntraCutMix()(views(4), torch.Generator().manual_seed(0))


def test_inter_pairs_each_region_with_its_own_kind_in_both_orders() -> None:
    one, two = _inter()
    terms = InterLocalGlobalHead().terms([one, two], 2)
    names = ["loss_mix", "loss_mix", "loss_global", "loss_global", "loss_local", "loss_local"]
    assert [term.name for term in terms] == names
    assert [(term.online, term.target) for term in terms[::2]] == [
        (EmbeddingId(2, IMAGE), EmbeddingId(1, IMAGE)),
        (EmbeddingId(2, GLOBAL), EmbeddingId(3, GLOBAL)),
        (EmbeddingId(2, LOCAL), EmbeddingId(3, LOCAL)),
    ]
    for normal, reverse in zip(terms[::2], terms[1::2], strict=True):
        assert torch.equal(normal.rows, one.index) and torch.equal(reverse.rows, one.partner)
        assert torch.equal(normal.weight, one.lam) and torch.equal(reverse.weight, 1 - one.lam)
        assert (normal.online, normal.target) == (reverse.online, reverse.target)


def test_inter_takes_the_lam_of_the_query() -> None:
    one, two = (
        mixture._replace(lam=torch.full((4,), lam))
        for mixture, lam in zip(_inter(), (0.2, 0.6), strict=True)
    )
    terms = InterLocalGlobalHead(symmetric=True).terms([one, two], 2)
    assert len(terms) == 12
    weights = [term.weight[0].item() for term in terms]
    assert weights == pytest.approx([0.2, 0.8] * 3 + [0.6, 0.4] * 3)
    assert [(term.online.view, term.target.view) for term in terms[6::2]] == [
        (3, 0),
        (3, 2),
        (3, 2),
    ]


def test_inter_as_in_the_authors_code_takes_the_original_key() -> None:
    terms = InterLocalGlobalHead(original_key=True).terms(_inter(), 2)
    assert {term.target for term in terms if term.online.region == GLOBAL} == {EmbeddingId(1)}


def test_inter_without_reversed_regions() -> None:
    terms = InterLocalGlobalHead(reverse_regions=False).terms(_inter(), 2)
    assert [term.name for term in terms] == ["loss_mix", "loss_mix", "loss_global", "loss_local"]


def test_inter_without_the_reversed_mixture_is_the_papers_printed_form() -> None:
    one, two = _inter()
    cutmix = InterLocalGlobalHead(global_global=0.0, local_local=0.0, reverse_mixed=False)
    (printed,) = cutmix.terms([one, two], 2)
    assert (printed.online, printed.target) == (EmbeddingId(2), EmbeddingId(1))
    assert torch.equal(printed.weight, one.lam)
    assert torch.equal(printed.rows, one.index)
    names = ["loss_mix", "loss_global", "loss_global", "loss_local", "loss_local"]
    terms = InterLocalGlobalHead(reverse_mixed=False).terms([one, two], 2)
    assert [term.name for term in terms] == names


def test_intra_weighs_by_its_constant() -> None:
    terms = IntraLocalGlobalHead(lam=0.25, loss_weight=2.0).terms(_intra(), 2)
    assert [(term.online, term.target, term.rows, term.weight, term.name) for term in terms] == [
        (EmbeddingId(2, IMAGE), EmbeddingId(1, IMAGE), None, 0.5, "loss_mix"),
        (EmbeddingId(2, GLOBAL), EmbeddingId(3, GLOBAL), None, 1.5, "loss_global"),
        (EmbeddingId(2, LOCAL), EmbeddingId(3, LOCAL), None, 1.5, "loss_local"),
        (EmbeddingId(2, LOCAL), EmbeddingId(3, GLOBAL), None, 1.5, "loss_local_global"),
    ]
    both = IntraLocalGlobalHead(symmetric=True).terms(_intra(), 2)
    assert [(term.online.view, term.target.view) for term in both[4:]] == [
        (3, 0),
        (3, 2),
        (3, 2),
        (3, 2),
    ]


@pytest.mark.parametrize("name", ["mixed", "global_global", "local_local", "local_global"])
def test_each_term_can_be_switched_off_and_weighed(name: str) -> None:
    names = {"mixed": "loss_mix", "global_global": "loss_global", "local_local": "loss_local"}
    loss = names.get(name, "loss_local_global")
    every = IntraLocalGlobalHead().terms(_intra(), 2)
    without = IntraLocalGlobalHead(**{name: 0.0}).terms(_intra(), 2)
    assert [term for term in every if term.name != loss] == without
    (heavy,) = [
        term for term in IntraLocalGlobalHead(**{name: 3.0}).terms(_intra(), 2) if term.name == loss
    ]
    assert heavy.weight == 1.5
    if name != "local_global":
        left = {term.name for term in InterLocalGlobalHead(**{name: 0.0}).terms(_inter(), 2)}
        assert left == set(names.values()) - {loss}


def test_regions_are_asked_for_only_where_a_term_has_them() -> None:
    assert InterLocalGlobalHead().requirements == {"regions"} == IntraLocalGlobalHead().requirements
    assert not InterLocalGlobalHead(global_global=0, local_local=0).requirements
    assert not IntraLocalGlobalHead(lam=1.0).requirements


@pytest.mark.parametrize("head", [InterLocalGlobalHead, IntraLocalGlobalHead])
def test_what_lies_outside_its_range_is_refused(head: type) -> None:
    with pytest.raises(ValueError, match=f"local_local of {head.__name__} is -1 and must be >= 0"):
        head(local_local=-1)
    with pytest.raises(ValueError, match=f"original of {head.__name__} is nan"):
        head(original=float("nan"))
    with pytest.raises(ValueError, match="compares two mixtures with boxes and got 1 mixtures"):
        head().terms(_inter()[:1], 2)
    blends = [global_mixture(view, i, torch.tensor([0.5])) for i, view in enumerate(views(4))]
    with pytest.raises(ValueError, match="compares two mixtures with boxes and got 2"):
        head().terms(blends, 2)


def test_lam_outside_its_range_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"lam of IntraLocalGlobalHead is 1.5 and must lie in \[0, 1\]"
    ):
        IntraLocalGlobalHead(lam=1.5)


def test_what_does_not_fit_is_refused_when_the_model_is_built() -> None:
    with pytest.raises(
        ValueError,
        match="needs a method with regions and MixMoCo .*: set region_neck on the model",
    ):
        build(moco_with_regions(inter_head(), region_neck=None))
    swapped = preprocessor({"type": "mixssl.IntraCutMix"})
    with pytest.raises(
        ValueError, match="reads mixtures laid out as pairs of cut batches, and IntraCutMix"
    ):
        build(moco_with_regions(inter_head(), data_preprocessor=swapped))
    with pytest.raises(ValueError, match="IntraLocalGlobalHead reads .* UnMix makes them as rows"):
        build(moco(mixer={"type": "mixssl.UnMix"}, mix_head=intra_head()))
    with pytest.raises(
        ValueError, match="UnMixHead reads mixtures laid out as .*, and InterCutMix"
    ):
        build(moco(mixer={"type": "mixssl.InterCutMix"}))
