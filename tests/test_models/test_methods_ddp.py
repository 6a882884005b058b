"""Two gloo ranks together have the gradient of one process on the whole batch, also where the parents have not."""

from __future__ import annotations

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from support.ddp import run_ranks
from support.methods import METHODS
from support.methods_more import run_length
from support.parents import UNMIX, assert_close_gradients, freeze_norms, halves, mixing
from support.tiny import build, sgd, total, views
from torch import Tensor

from mixssl.structures import MixedView

OURS = ["MixBYOL", "MixBarlowTwins", "MixSimCLR", "MixSimSiam", "MixVICReg"]
COUPLED = {"MixSimCLR": "mmpretrain.SimCLR", "MixBarlowTwins": "mmpretrain.BarlowTwins"}


def _model(name: str, pairing: str | None, parent: str | None) -> torch.nn.Module:
    """A model without batch statistics, which would differ between a half batch and the whole one."""
    config = METHODS[name]
    if pairing == "blend":
        return freeze_norms(build(config(mixer=UNMIX, mix_head={"type": "mixssl.BlendHead"})))
    if parent is not None:
        return freeze_norms(build(config(parent)))
    return (
        freeze_norms(build(config())) if pairing is None else mixing(config, pairing, frozen=True)
    )


def _step(model: torch.nn.Module, x: list[Tensor], mixed: MixedView | None) -> Tensor:
    losses = model(x, mode="loss") if mixed is None else model(x, mode="loss", mixtures=[mixed])
    value = total(losses)
    value.backward()
    return value.detach()


CASES = [(name, pairing, None) for name in OURS for pairing in (None, "cross", "mutual")]
BLENDED = ["MixBarlowTwins", "MixVICReg"]
CASES += [(name, "blend", None) for name in BLENDED]
CASES += [(name, None, parent) for name, parent in COUPLED.items()]


def _candidates(rank: int) -> dict:
    model = build(METHODS["MixSimCLR"]())
    target = torch.arange(16.0).view(2, 8) + 100 * rank
    target.requires_grad_()
    blocks = model.candidate_logits(torch.eye(8)[:3] * 0.2, target, None)
    torch.cat(blocks, dim=1).sum().backward()
    return {
        "blocks": [block.detach() for block in blocks],
        "target": target.detach(),
        "grad": target.grad,
    }


def _train(rank: int, name: str) -> list[Tensor]:
    model = build(METHODS[name](mixer=UNMIX))
    wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
    wrapper = OptimWrapper(sgd(model, lr=0.01))
    for step in range(3):
        data = {"inputs": views(seed=10 * step + rank), "data_samples": None}
        wrapped.train_step(data, wrapper)
    return [p.detach() for p in model.parameters()]


def _on_a_rank(rank: int) -> dict:
    """All that the tests look at; starting processes takes longer than everything that they do."""
    part, mixed = halves(views())[0][rank]
    found: dict = {"candidates": _candidates(rank), "trained": {}}
    with run_length():
        for case in CASES:
            model = _model(*case)
            wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
            value = _step(wrapped, part, None if case[1] is None else mixed)
            gradients = [p.grad for p in model.parameters() if p.requires_grad]
            found[case] = {"loss": value, "gradients": gradients}
        for name in OURS:
            found["trained"][name] = _train(rank, name)
    return found


@pytest.fixture(scope="module")
def ranks() -> list[dict]:
    return run_ranks(_on_a_rank)


def _assert_factor(ranks: list[dict], case: tuple, factor: float) -> None:
    """Both ranks have ``factor`` times the gradient of one process on the whole batch, and on average its loss."""
    with run_length():
        whole = _model(*case)
        value = _step(whole, views(), None if case[1] is None else halves(views())[1])
    results = [rank[case] for rank in ranks]
    losses = torch.stack([result["loss"] for result in results])
    assert losses.mean().item() == pytest.approx(value.item(), rel=1e-5)
    together = _model(*case)
    trained = [p for p in together.parameters() if p.requires_grad]
    for parameter, one, two in zip(trained, *(r["gradients"] for r in results), strict=True):
        assert torch.equal(one, two)
        parameter.grad = one
    assert_close_gradients(together, whole, factor)


@pytest.mark.parametrize("pairing", [None, "cross", "mutual"])
@pytest.mark.parametrize("name", OURS)
def test_two_ranks_have_the_gradient_of_one_process(
    ranks: list[dict], name: str, pairing: str | None
) -> None:
    _assert_factor(ranks, (name, pairing, None), 1.0)


@pytest.mark.parametrize("name", BLENDED)
def test_two_ranks_blend_targets_as_one_process_does(ranks: list[dict], name: str) -> None:
    _assert_factor(ranks, (name, "blend", None), 1.0)


@pytest.mark.parametrize("name", COUPLED)
def test_two_ranks_of_the_parent_have_half_of_it(ranks: list[dict], name: str) -> None:
    _assert_factor(ranks, (name, None, COUPLED[name]), 0.5)


def test_this_devices_candidates_come_first(ranks: list[dict]) -> None:
    results = [rank["candidates"] for rank in ranks]
    for here, there in (results, results[::-1]):
        own, others = here["blocks"]
        assert torch.allclose(own, here["target"][:, :3].t())
        assert torch.allclose(others, there["target"][:, :3].t())
        unit_from_each_device = torch.full((2, 3), 2.0)
        assert torch.allclose(here["grad"][:, :3], unit_from_each_device)


@pytest.mark.parametrize("name", OURS)
def test_ranks_that_train_on_other_images_end_with_the_same_model(
    ranks: list[dict], name: str
) -> None:
    for one, two in zip(*(rank["trained"][name] for rank in ranks), strict=True):
        assert torch.equal(one, two) and one.isfinite().all()
