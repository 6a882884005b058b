"""Two gloo ranks of the methods of methods_more.py: equal to one process on the whole batch, and to each other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from support.ddp import run_ranks
from support.methods_more import METHODS, run_length, swav
from support.tiny import DIM, build, sgd, total, views
from torch import Tensor, nn

from mixssl.mixing import region_mixture
from mixssl.structures import MixedView

UNMIX = {"type": "mixssl.UnMix"}
NAMES = ["MixWMSE", "MixMoCoV3", "MixSwAV", "MixDenseCL", "MixDINO", "MixDistill"]
HALF = 8


def _mixture(x: Tensor) -> MixedView:
    return region_mixture(x, 0, torch.tensor([1 - 56 / 256]), torch.tensor([[3, 2, 11, 9]]))


def _whole_mixture(x: Tensor) -> MixedView:
    """What the ranks mix, each in its half, as one mixture of the whole batch."""
    halves = [_mixture(half) for half in x.split(HALF)]
    first = halves[0]
    return first._replace(
        **{
            name: torch.cat([getattr(half, name) for half in halves])
            for name in ("images", "lam", "mask", "boxes")
        },
        index=torch.cat([half.index + HALF * rank for rank, half in enumerate(halves)]),
        partner=torch.cat([half.partner + HALF * rank for rank, half in enumerate(halves)]),
    )


def _model(name: str) -> Any:
    """In evaluation: batch statistics would depend on how the batch is split."""
    model = build(METHODS[name](mixer=UNMIX)).eval()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_var.fill_(
                0.05
            )  # embeddings of an untrained network are nearly alike otherwise
    return model


def _step(name: str, x: list[Tensor], mixed: MixedView) -> dict[str, Tensor]:
    """Losses and gradients, averaged over the ranks as DDP does."""
    model = _model(name)
    losses = model(x, mode="loss", mixtures=[mixed])
    total(losses).backward()
    found = {key: value.detach() for key, value in losses.items()}
    found |= {key: p.grad for key, p in model.named_parameters() if p.grad is not None}
    for value in found.values():
        all_reduce(value)
        value /= get_world_size()
    return found


def _parents_swav(x: list[Tensor]) -> Tensor:
    model = build(swav("mmpretrain.SwAV"))
    model.load_state_dict(
        _model("MixSwAV").state_dict(), strict=False
    )  # all but the mixer's random state
    loss = model.eval()(x, mode="loss")["loss"].detach()
    all_reduce(loss)
    return loss / get_world_size()


def _train(rank: int) -> dict:
    found = {}
    for name in NAMES:
        cfg = METHODS[name](mixer=UNMIX)
        cfg["data_preprocessor"]["seed"] = None  # every rank has another seed; rank 0's must win
        model = build(cfg)
        if name == "MixSwAV":
            model.head.loss_module.queue = torch.zeros(2, 16, DIM)
        torch.manual_seed(100 + rank)
        wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
        wrapper = OptimWrapper(sgd(model))
        with run_length():
            for step in range(3):
                data = {"inputs": views(HALF, seed=10 * step + rank), "data_samples": None}
                wrapped.train_step(data, wrapper)
        queues = {
            key: value for key, value in model.named_buffers() if "queue" in key or key == "center"
        }
        found[name] = {key: p.detach() for key, p in model.named_parameters()} | queues
    return found


def _steps(rank: int) -> dict:
    x = [view[HALF * rank : HALF * (rank + 1)] for view in views(2 * HALF)]
    found: dict = {name: _step(name, x, _mixture(x[0])) for name in NAMES}
    return found | {"parents": _parents_swav(x), "trained": _train(rank)}


@pytest.fixture(scope="module")
def ranks() -> list[dict]:
    return run_ranks(_steps)


@pytest.fixture
def steps(ranks: list[dict]) -> dict:
    return ranks[0]


@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_have_the_loss_and_gradients_of_one_process(name: str, steps: dict) -> None:
    x = views(2 * HALF)
    whole = _step(name, x, _whole_mixture(x[0]))
    assert whole.keys() == steps[name].keys()
    for key, value in whole.items():
        scale = value.abs().max().clamp_min(1e-3)
        assert (value - steps[name][key]).abs().max() <= 1e-4 * scale, key


def test_the_parents_swav_has_another_loss_on_two_ranks(steps: dict) -> None:
    whole = _parents_swav(views(2 * HALF))
    ours = _step("MixSwAV", views(2 * HALF), _whole_mixture(views(2 * HALF)[0]))["loss_clean"]
    assert whole.item() == pytest.approx(ours.item(), abs=1e-6)
    assert abs(steps["parents"].item() - whole.item()) > 1e-3


def test_two_ranks_train_to_the_same_model_and_queues(ranks: list[dict]) -> None:
    one, two = (rank["trained"] for rank in ranks)
    for name in NAMES:
        for key, value in one[name].items():
            assert value.isfinite().all(), (name, key)
            assert torch.equal(value, two[name][key]), (name, key)
    assert one["MixDenseCL"]["queue_ptr"].item() == 3 * 2 * HALF % 64
    assert one["MixDistill"]["queue_filled"].item() == 64  # two views of 16 images a step
