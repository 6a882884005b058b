"""Two gloo ranks agree on every draw and end with the same model."""

from __future__ import annotations

import torch
from mmengine.dist import all_gather
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp
from support.ddp import run_ranks
from support.tiny import build, moco, sgd, views
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.memory import batch_shuffle, batch_unshuffle, local_rows
from mixssl.structures import select


def _train(rank: int) -> dict:
    cfg = moco(mixer={"type": "mixssl.UnMix", "p_global": 0.5})
    cfg["data_preprocessor"]["seed"] = None  # every rank has another seed; rank 0's must win
    model = build(cfg)
    torch.manual_seed(100 + rank)
    wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
    wrapper = OptimWrapper(sgd(model))
    draws = []
    mix = model.data_preprocessor.mixer.__class__.__call__

    def spy(self, x, generator):
        (mixed,) = mix(self, x, generator)
        boxes = torch.zeros(len(x[0]), 4).long() - 1 if mixed.boxes is None else mixed.boxes
        draws.append(torch.cat([mixed.lam[:, None].double(), mixed.partner[:, None], boxes], dim=1))
        return [mixed]

    type(model.data_preprocessor.mixer).__call__ = spy
    try:
        for step in range(6):
            wrapped.train_step(
                {"inputs": views(8, seed=10 * step + rank), "data_samples": None}, wrapper
            )
    finally:
        type(model.data_preprocessor.mixer).__call__ = mix
    batches = all_gather(views(8, seed=rank)[0])
    assert not torch.equal(batches[0], batches[1])
    return {
        "draws": torch.stack(draws),
        "queue": model.queue.clone(),
        "pointer": model.queue_ptr.clone(),
        "parameters": [p.detach().clone() for p in model.parameters()],
    }


def test_two_ranks_draw_the_same_and_end_the_same() -> None:
    one, two = run_ranks(_train)
    assert torch.equal(one["draws"], two["draws"])
    kinds = (one["draws"][:, 0, 2] < 0).tolist()
    assert len(set(kinds)) == 2, "six steps should see both kinds of mixture"
    assert torch.equal(one["queue"], two["queue"])
    assert one["pointer"].item() == 6 * 16 % 64
    for a, b in zip(one["parameters"], two["parameters"], strict=True):
        assert torch.equal(a, b)


def _shuffle(rank: int) -> dict:
    images = views(8, seed=rank)[0]
    torch.manual_seed(7 * rank)  # rank 0's order is everybody's
    ours, order = batch_shuffle(images)
    torch.manual_seed(7 * rank)
    theirs, restore = batch_shuffle_ddp(images)
    return {
        "same images": torch.equal(ours, theirs),
        "moved": not torch.equal(ours, images),
        "restored": torch.equal(batch_unshuffle(ours, order), images),
        "as theirs": torch.equal(
            batch_unshuffle(ours.square(), order), batch_unshuffle_ddp(theirs.square(), restore)
        ),
        "rows travel along": torch.equal(local_rows(images.mean(dim=1), order), ours.mean(dim=1)),
    }


def test_two_ranks_shuffle_as_mmpretrain_does() -> None:
    ranks = run_ranks(_shuffle)
    assert len(ranks) == 2
    for rank in ranks:
        assert all(rank.values()), rank


VARIANTS: dict[str, tuple[dict, int]] = {
    "MeanEnc": (moco(key_views=2), 3),
    "RegionCL": (
        moco(
            mixer={"type": "mixssl.RegionCL", "stride": 4, "cells": (2, 3)},
            mix_head={"type": "mixssl.RegionCLHead"},
        ),
        2,
    ),
    "two mixtures": (
        moco(
            mixer={
                "type": "mixssl.Stack",
                "mixers": [{"type": "mixssl.UnMix"}, {"type": "mixssl.ScaleMix"}],
            },
            mix_head={
                "type": "mixssl.StackHead",
                "heads": [{"type": "mixssl.UnMixHead"}, {"type": "mixssl.ScaleMixHead"}],
            },
        ),
        3,
    ),
}


def _train_variants(rank: int) -> dict:
    found = {}
    for name, (cfg, count) in VARIANTS.items():
        model = build(cfg)
        torch.manual_seed(100 + rank)
        wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
        wrapper = OptimWrapper(sgd(model))
        for step in range(3):
            x = views(8, seed=10 * step + rank, count=count)
            wrapped.train_step({"inputs": x, "data_samples": None}, wrapper)
        found[name] = {key: value.clone() for key, value in model.state_dict().items()}
    return found


def _mean_keys(rank: int) -> Tensor:
    """Keys of two views, without batch statistics, which would depend on how the batch is split."""
    model = build(moco(key_views=2)).eval()
    torch.manual_seed(7 * rank)
    whole = views(16, count=3)
    x = [view[8 * rank : 8 * rank + 8] for view in whole]
    step = model.plan(x)
    keys = model.encode_target(select(step.views, step.target_ids), {})
    alone = F.normalize(sum(model.encoder_k(view)[0] for view in x[1:]), dim=1)
    return (keys[step.terms[0].target] - alone).abs().max()


def _variants(rank: int) -> dict:
    return {"trained": _train_variants(rank), "keys": _mean_keys(rank)}


def test_two_ranks_of_the_variants_end_the_same() -> None:
    one, two = run_ranks(_variants)
    for name in VARIANTS:
        for key, value in one["trained"][name].items():
            if "running" not in key and "num_batches" not in key:  # of each device's own batch
                assert torch.equal(value, two["trained"][name][key]), (name, key)
    assert max(one["keys"], two["keys"]) < 1e-6, "each image gets its own key back"
