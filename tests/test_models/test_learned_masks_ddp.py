"""AMix on two gloo ranks against one process on the whole batch: the block's gradient and the encoder's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from support.amix import amix
from support.ddp import run_ranks
from support.methods import byol, simclr
from support.methods_more import run_length
from support.tiny import WIDTH, backbone, build, moco, total, views

from mixssl.structures import MixedView

HALF = 4
GROUPS = {"type": "GN", "num_groups": 2}
METHODS = {"moco": moco, "simclr": simclr, "byol": byol}


def _model(name: str) -> Any:
    """No batch normalisation and no dropout, so that a batch is the sum of its halves."""
    block = {"dropout": 0.0, "norm_cfg": GROUPS}
    changes: dict[str, Any] = {"backbone": backbone(norm_cfg=GROUPS)}
    if name != "moco":
        neck = {
            "type": "mmpretrain.MoCoV2Neck",
            "in_channels": WIDTH * 8,
            "hid_channels": 16,
            "out_channels": 8,
        }
        changes["neck"] = neck
    if name == "byol":
        changes["head"] = {
            "type": "mmpretrain.LatentPredictHead",
            "predictor": neck | {"in_channels": 8, "with_avg_pool": False},
            "loss": {"type": "mmpretrain.CosineSimilarityLoss"},
        }
    model = build(amix(METHODS[name], block=block, **changes))
    for p in model.mix_block.parameters():  # away from the constant mask it starts with
        p.data.add_(torch.linspace(-0.3, 0.3, p.numel()).view_as(p))
    return model


def _mixtures(ranks: list[int]) -> list[MixedView]:
    """Mixtures of the rows that these ranks hold, partners within each rank, a λ per mixture."""
    partners = {"encoder": [1, 2, 3, 0], "block": [3, 2, 1, 0]}
    found = []
    for (learner, partner), lam in zip(partners.items(), (0.3, 0.6), strict=True):
        rows = torch.cat([torch.tensor(partner) + HALF * i for i in range(len(ranks))])
        size = HALF * len(ranks)
        found.append(
            MixedView(
                None, 0, 0, torch.arange(size), rows, torch.full((size,), lam), learned=learner
            )
        )
    return found


def _gradients(rank: int, name: str, ranks: list[int], wrap: bool) -> dict:
    with run_length():
        model = _model(name)
        both = views(2 * HALF, seed=7)
        inputs = [torch.cat([v[HALF * r : HALF * (r + 1)] for r in ranks]) for v in both]
        called = MMDistributedDataParallel(model, broadcast_buffers=False) if wrap else model
        losses = called(inputs=inputs, mode="loss", mixtures=_mixtures(ranks))
        total(losses).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None} | {
        f"!{name}": value.detach() for name, value in losses.items()
    }


def _rank(rank: int, name: str) -> dict:
    return _gradients(rank, name, [rank], wrap=True)


@pytest.mark.parametrize("name", METHODS)
def test_two_ranks_give_the_gradients_of_one_process(name: str) -> None:
    whole = _gradients(0, name, [0, 1], wrap=False)
    halves = run_ranks(_rank, name)
    blocks = [key for key in whole if key.startswith("mix_block.")]
    assert len(blocks) >= 8 and any(key.startswith("backbone.") for key in whole)
    for key, value in whole.items():
        if key.startswith("!"):
            mean = (halves[0][key] + halves[1][key]) / 2
            torch.testing.assert_close(mean, value, rtol=1e-4, atol=1e-5, msg=key)
        else:
            assert torch.equal(halves[0][key], halves[1][key]), key
            torch.testing.assert_close(halves[0][key], value, rtol=2e-3, atol=2e-6, msg=key)
    largest = max(whole[key].abs().max().item() for key in blocks)
    assert largest > 1e-4, "a block without gradients would agree too"
