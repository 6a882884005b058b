"""Blends within clusters, cuts between them, and partners as they were asked for."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views
from torch import Tensor

from mixssl.mixing import InterIntra, MultiScale
from mixssl.mixing.policies.inter_intra import cluster_partners
from mixssl.structures import MixedView


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _mixed(mixer: InterIntra, labels: Tensor, seed: int = 0) -> tuple[Tensor, MixedView]:
    images = views(len(labels), 16)[0]
    (deferred,) = mixer([images], _generator(seed))
    return images, deferred.render(labels, lambda x: x.sum(dim=1))


def test_rings_by_hand() -> None:
    labels = torch.tensor([0, 1, 0, 2, 0, 1])
    order = torch.tensor([0.1, 0.5, 0.9, 0.3, 0.4, 0.2])
    inside = torch.ones(6, dtype=torch.bool)
    # Cluster 0 in order: 0, 4, 2; cluster 1: 5, 1; nobody is like 3.
    assert cluster_partners(labels, order, inside).tolist() == [4, 5, 0, 3, 2, 1]
    # Without 2 and 1: 0 and 4 find one another; the others in order: 5, 3, 1, 2.
    inside = torch.tensor([True, False, False, True, True, True])
    assert cluster_partners(labels, order, inside).tolist() == [4, 2, 5, 1, 0, 3]


@pytest.mark.parametrize("seed", range(5))
def test_partners_are_a_permutation(seed: int) -> None:
    generator = _generator(seed)
    labels = torch.randint(0, 6, (32,), generator=generator)
    order, coins = torch.rand(2, 32, generator=generator)
    partner = cluster_partners(labels, order, coins < 0.5)
    assert torch.equal(partner.sort().values, torch.arange(32))
    assert int((partner == torch.arange(32)).sum()) <= 1


def test_who_looks_inside_finds_someone_there() -> None:
    labels = torch.arange(32) % 4
    everyone = cluster_partners(labels, torch.rand(32), torch.ones(32, dtype=torch.bool))
    assert torch.equal(labels[everyone], labels)
    nobody = cluster_partners(torch.arange(32), torch.rand(32), torch.ones(32, dtype=torch.bool))
    assert (nobody != torch.arange(32)).all(), "without mates they are mixed with one another"


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize(
    ("intra", "inter"),
    [("mixup", "cutmix"), ("cutmix", "mixup"), ("mixup", "mixup"), ("cutmix",) * 2],
)
def test_each_pair_is_mixed_by_the_policy_of_its_clusters(
    intra: str, inter: str, per_sample: bool
) -> None:
    labels, seen = torch.arange(16) % 5, set()
    for seed in range(6):
        mixer = InterIntra(inter_alpha=1.0, per_sample=per_sample, intra=intra, inter=inter)
        images, mixed = _mixed(mixer, labels, seed)
        other = images[mixed.partner]
        for row, same in enumerate((labels == labels[mixed.partner]).tolist()):
            lam = mixed.lam[row]
            if (intra if same else inter) == "mixup":
                expected = lam * images[row] + (1 - lam) * other[row]
                assert torch.allclose(mixed.images[row], expected, atol=1e-6)
                assert (mixed.mask[row] == lam).all()
            else:
                own, pasted = mixed.images[row] == images[row], mixed.images[row] == other[row]
                assert (own | pasted).all() and set(mixed.mask[row].unique().tolist()) <= {0, 1}
            seen.add(same)
        if not per_sample:
            assert len(mixed.lam.unique()) <= 2
    assert seen == {True, False}


def test_large_alpha_blends_evenly_and_small_alpha_cuts_little_or_much() -> None:
    labels = torch.arange(16) % 2
    intra, inter = [], []
    for seed in range(60):
        _, mixed = _mixed(InterIntra(), labels, seed)
        same = labels == labels[mixed.partner]
        intra += mixed.lam[same].unique().tolist()
        inter += mixed.lam[~same].unique().tolist()
    spread = [float((torch.tensor(found) - 0.5).abs().mean()) for found in (intra, inter)]
    assert spread[0] < 0.2 < 0.3 < spread[1]


@pytest.mark.parametrize("p_intra", [0.0, 0.5, 1.0])
def test_the_share_that_looks_inside(p_intra: float) -> None:
    labels = torch.arange(64) % 8
    found = []
    for seed in range(20):
        _, mixed = _mixed(InterIntra(p_intra=p_intra), labels, seed)
        found.append((labels == labels[mixed.partner]).float().mean())
    assert abs(float(torch.stack(found).mean()) - max(p_intra, 7 / 63)) < 0.07


def test_both_views_get_the_same_draws() -> None:
    x = views(8, 16)
    labels = torch.arange(8) % 3
    first, second = (
        deferred.render(labels, lambda images: images)
        for deferred in InterIntra(views=(0, 1))(x, _generator())
    )
    assert (first.source, second.source) == (0, 1)
    for name in ("index", "partner", "lam", "mask"):
        assert torch.equal(getattr(first, name), getattr(second, name))
    with pytest.raises(ValueError, match="mixes views of one size"):
        InterIntra(views=(0, 1))([x[0], x[1][..., :8, :8]], _generator())


def test_arguments_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="alpha of InterIntra is 0 and must be > 0"):
        InterIntra(intra_alpha=0)
    with pytest.raises(ValueError, match="alpha of InterIntra is -1"):
        InterIntra(inter_alpha=-1)
    with pytest.raises(ValueError, match="p_intra of InterIntra is 1.5 and must lie in"):
        InterIntra(p_intra=1.5)
    for name in ("intra", "inter"):
        with pytest.raises(ValueError, match=f"{name} of InterIntra is 'fmix' and must be one of"):
            InterIntra(**{name: "fmix"})
    with pytest.raises(ValueError, match="can't carry InterIntra, which asks for clusters"):
        MultiScale(InterIntra())
