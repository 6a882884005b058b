"""Two gloo ranks agree on every draw and end with the same model."""

from __future__ import annotations

import torch
from mmengine.dist import all_gather
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmpretrain.models.utils import batch_shuffle_ddp, batch_unshuffle_ddp
from support.ddp import run_ranks
from support.tiny import build, moco, sgd, views

from mixssl.models.memory import batch_shuffle, batch_unshuffle, local_rows


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
