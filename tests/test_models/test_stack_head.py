"""Several mixtures in a step: the losses of each alone, added up, and what is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from support.fixed import KEY, MIXED, QUERY, fixed_losses, fixed_mixture, fixed_moco
from support.grid import config
from support.tiny import build, moco, total, views

from mixssl.mixing import MixCo, Stack, UnMix
from mixssl.models.heads import StackHead, UnMixHead

UNMIX, MASK = {"type": "mixssl.UnMix"}, {"type": "mixssl.MixMask", "grid": 4, "shuffle": True}
HEAD = {"type": "mixssl.UnMixHead"}


def _stacked(mixers: list, heads: list, **changes: Any) -> dict:
    return moco(
        mixer={"type": "mixssl.Stack", "mixers": mixers},
        mix_head={"type": "mixssl.StackHead", "heads": heads},
        **changes,
    )


def test_the_loss_of_two_mixtures_on_given_embeddings() -> None:
    """MixMask's "both": one clean loss, Un-Mix's two terms and MixMask's two."""
    model = fixed_moco(
        mixer={"type": "mixssl.Stack", "mixers": [UNMIX, MASK]},
        mix_head={"type": "mixssl.StackHead", "heads": [HEAD, HEAD | {"loss_weight": 0.5}]},
    )
    mixtures = [fixed_mixture(0.75, [1, 0]), fixed_mixture(0.25, [1, 0], stacked=1)]
    losses = fixed_losses(model, mixtures, {0: QUERY, 2: MIXED, 3: MIXED}, {1: KEY})
    own, other = 3.901498, 1.719194
    wanted = 0.75 * own + 0.25 * other + 0.5 * (0.25 * own + 0.75 * other)
    assert losses["loss_clean"].item() == pytest.approx(0.160095, abs=1e-5)
    assert losses["loss_mix"].item() == pytest.approx(wanted, abs=1e-5)


def test_the_losses_of_each_alone_add_up() -> None:
    """On a model: MixCo's half batch, Un-Mix of both views, and MixMask, which a lone mixer of each would get."""
    heads = [{"type": "mixssl.MixCoHead"}, HEAD | {"pairing": "mixed"}, HEAD | {"loss_weight": 2.0}]
    mixers = [{"type": "mixssl.MixCo"}, UNMIX | {"views": (0, 1)}, MASK]
    model, x = build(_stacked(mixers, heads)), views()
    mixtures = model.mixer(x, torch.Generator().manual_seed(0))
    assert [mixed.stacked for mixed in mixtures] == [0, 1, 1, 2]
    together = copy.deepcopy(model)(x, mode="loss", mixtures=mixtures)
    apart = torch.zeros(())
    for place, head in enumerate(model.mix_head.heads):
        alone = copy.deepcopy(model)
        alone.mix_head = head
        own = [mixed for mixed in mixtures if mixed.stacked == place]
        losses = alone(x, mode="loss", mixtures=own)
        assert torch.allclose(losses["loss_clean"], together["loss_clean"], atol=1e-5)
        apart = apart + losses["loss_mix"]
    assert torch.allclose(together["loss_mix"], apart, atol=1e-5)


def test_a_mixture_in_place_of_the_clean_view_leaves_no_clean_loss() -> None:
    model = build(
        _stacked([UNMIX, {"type": "mixssl.ScaleMix"}], [HEAD, {"type": "mixssl.ScaleMixHead"}])
    )
    data = model.data_preprocessor({"inputs": views(count=3), "data_samples": None}, True)
    assert model(**data, mode="loss").keys() == {"loss_mix"}


def test_a_learned_mixture_goes_beside_a_drawn_one() -> None:
    block = {"type": "mixssl.MixBlockPlus", "in_channels": 16}
    cfg = _stacked([UNMIX, {"type": "mixssl.AMix"}], [HEAD, {"type": "mixssl.AMixHead"}])
    model = build(
        config("MixMoCo", cfg["data_preprocessor"]["mixer"], cfg["mix_head"], {"mix_block": block})
    )
    data = model.data_preprocessor({"inputs": views(size=8), "data_samples": None}, True)
    losses = model(**data, mode="loss")
    assert {"loss_clean", "loss_mix", "loss_block", "loss_block_two_way"} <= losses.keys()
    total(losses).backward()
    assert all(p.grad is not None for p in model.mix_block.parameters())


def test_pairs_that_do_not_fit_are_refused_in_their_own_words() -> None:
    head = StackHead([HEAD])
    with pytest.raises(
        ValueError, match="heads of StackHead are 1 and Stack has 2 mixers, UnMix, "
    ):
        head.check_mixer(Stack([UNMIX, MASK]))
    with pytest.raises(ValueError, match="StackHead reads mixtures laid out as several mixtures"):
        head.check_mixer(UnMix())
    with pytest.raises(ValueError, match="IMixHead reads .* choose the head made for this mixer"):
        StackHead([UnMixHead(), {"type": "mixssl.IMixHead"}]).check_mixer(Stack([UNMIX, MixCo()]))
    with pytest.raises(ValueError, match="heads of StackHead is empty"):
        StackHead([])
    mixers, heads = [{"type": "mixssl.MixCo"}, UNMIX], [{"type": "mixssl.MixCoHead"}, HEAD]
    cfg = _stacked(mixers, heads)
    with pytest.raises(ValueError, match="StackHead needs a method with candidates and MixBYOL"):
        build(config("MixBYOL", cfg["data_preprocessor"]["mixer"], cfg["mix_head"], {}))
    per_image = [UNMIX, {"type": "mixssl.MixUp", "per_sample": True}]
    cfg = _stacked(per_image, [HEAD, HEAD])
    with pytest.raises(ValueError, match="Stack draws a λ per image and the loss of MixWMSE"):
        build(config("MixWMSE", cfg["data_preprocessor"]["mixer"], cfg["mix_head"], {}))
