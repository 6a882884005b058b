"""MixBarlowTwins against its mmpretrain parent and Un-Mix's Algorithm 1."""

from __future__ import annotations

import pytest
import torch
from support.methods import barlowtwins
from support.parents import (
    KINDS,
    UNMIX,
    algorithm_1,
    assert_close_gradients,
    assert_same_gradients,
    assert_trains_like,
    calls,
    mixed_pair,
    mixing,
    mixture,
    parent_of,
)
from support.tiny import build, preprocessor, total, views

from mixssl.mixing import UnMix

PARENT = "mmpretrain.BarlowTwins"


class _LamPerImage(UnMix):
    shared_lam = False


def test_without_a_mixer_every_bit_is_the_parents() -> None:
    assert_trains_like(build(barlowtwins()), build(barlowtwins(PARENT)))
    assert_same_gradients(build(barlowtwins()), build(barlowtwins(PARENT)))


@pytest.mark.parametrize("pairing", ["cross", "mutual"])
@pytest.mark.parametrize("kind", KINDS)
def test_unmix_is_algorithm_1(kind: str, pairing: str) -> None:
    model, x = mixing(barlowtwins, pairing), views()
    mixed = mixture(kind, x[0])
    parent = parent_of(model, barlowtwins, PARENT)
    got = total(model(x, mode="loss", mixtures=[mixed]))
    expected = algorithm_1(parent, x, mixed)
    assert got.item() == pytest.approx(expected.item(), rel=1e-6)
    got.backward()
    expected.backward()
    assert_close_gradients(model, parent)


def test_a_hand_computed_pair() -> None:
    model = build(barlowtwins(head=barlowtwins()["head"] | {"in_channels": 2}))
    online = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    target = torch.tensor([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]])
    (value,) = model.pair_losses(online, [target], [None])
    # both columns of the target are the first of the online embedding: C = [[1, 1], [0, 0]]
    assert value.item() == pytest.approx(1 + 0.0051, abs=1e-4)
    assert online[0].tolist() == [1.0, 1.0]


def test_both_branches_are_the_parents_loss_of_the_mixtures() -> None:
    model, x = mixing(barlowtwins, "mixed"), views()
    mixtures = mixed_pair(model, x)
    expected = parent_of(model, barlowtwins, PARENT).loss([m.images for m in mixtures], None)[
        "loss"
    ]
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]
    assert got.item() == pytest.approx(expected.item(), rel=1e-6)


def test_a_mixture_costs_one_forward_pass() -> None:
    model = mixing(barlowtwins)
    assert calls(model, backbone=model.backbone, neck=model.neck) == {"backbone": 3, "neck": 3}


def test_a_lam_per_image_is_refused() -> None:
    with pytest.raises(
        ValueError, match="draws a λ per image and the loss of MixBarlowTwins does not decompose"
    ):
        build(barlowtwins(mixer=UNMIX, data_preprocessor=preprocessor(_LamPerImage())))
