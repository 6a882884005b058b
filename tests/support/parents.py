"""Compares an adapter with its mmpretrain parent, and both with Un-Mix's Algorithm 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm
from support.tiny import build, sgd, total, views
from torch import Tensor, nn

from mixssl.mixing import global_mixture, region_mixture
from mixssl.structures import MixedView

KINDS = ["global", "global0", "global1", "region", "empty", "whole"]
UNMIX = {"type": "mixssl.UnMix"}


def batch(step: int = 0, size: int = 8) -> dict:
    """A batch as a data loader gives it."""
    return {"inputs": views(size, seed=step), "data_samples": None}


def assert_trains_like(ours: nn.Module, parent: nn.Module, steps: int = 4) -> None:
    """Losses, parameters and buffers are equal, bit by bit, over several steps."""
    assert ours.state_dict().keys() == parent.state_dict().keys()
    wrappers = [OptimWrapper(sgd(model)) for model in (ours, parent)]
    for step in range(steps):
        logs = [m.train_step(batch(step), w) for m, w in zip((ours, parent), wrappers, strict=True)]
        assert torch.equal(logs[0]["loss"], logs[1]["loss"])
        for (name, a), b in zip(
            ours.state_dict().items(), parent.state_dict().values(), strict=True
        ):
            assert torch.equal(a, b), name


def assert_same_gradients(ours: nn.Module, parent: nn.Module) -> None:
    """Gradients of one step are equal, bit by bit, and none is missing."""
    for model in (ours, parent):
        total(model(views(), mode="loss")).backward()
    for (name, a), b in zip(ours.named_parameters(), parent.parameters(), strict=True):
        assert (a.grad is None) == (b.grad is None), name
        if a.grad is not None:
            assert torch.equal(a.grad, b.grad), name


def mixing(config: Callable[..., dict], pairing: str = "cross", frozen: bool = False) -> Any:
    """Builds an adapter with Un-Mix; ``frozen`` as in :func:`freeze_norms`."""
    mixer = UNMIX | {"views": (0, 1)} if pairing == "mixed" else UNMIX
    model = build(config(mixer=mixer, mix_head={"type": "mixssl.UnMixHead", "pairing": pairing}))
    return freeze_norms(model) if frozen else model


def parent_of(model: Any, config: Callable[..., dict], type: str) -> Any:
    """Builds a model's parent with its weights; its momentum encoder, if any, makes one step and then stands still."""
    parent = build(config(type))
    parent.load_state_dict(model.state_dict(), strict=False)
    parent.data_preprocessor = None
    if hasattr(parent, "target_net"):
        parent.target_net.update_parameters(nn.Sequential(parent.backbone, parent.neck))
        parent.target_net.update_parameters = lambda _: None
    return parent


def freeze_norms(model: Any) -> Any:
    """Lets batch normalisation use its running statistics, so that no row depends on the others."""
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
    return model


def mixture(kind: str, x: Tensor, source: int = 0) -> MixedView:
    """A mixture of a view of 16 pixels; of the KINDS some are limits."""
    if kind.startswith("global"):
        return global_mixture(
            x, source, torch.tensor([{"global": 0.3, "global0": 0.0, "global1": 1.0}[kind]])
        )
    box = {"region": [3, 2, 11, 9], "empty": [4, 4, 4, 4], "whole": [0, 0, 16, 16]}[kind]
    area = (box[2] - box[0]) * (box[3] - box[1])
    return region_mixture(x, source, torch.tensor([1 - area / 256]), torch.tensor([box]))


def algorithm_1(parent: Any, x: Sequence[Tensor], mixed: MixedView) -> Tensor:
    """Un-Mix's Algorithm 1 word for word: the method called on three pairs of images."""
    lam = mixed.lam[0].item()

    def method(first: Tensor, second: Tensor) -> Tensor:
        return parent.loss([first, second], None)["loss"]

    normal, reverse = method(x[1], mixed.images), method(x[1], mixed.images.flip(0))
    return method(x[0], x[1]) + lam * normal + (1 - lam) * reverse


def assert_close_gradients(one: nn.Module, other: nn.Module, factor: float = 1.0) -> None:
    """The first model's gradients are ``factor`` times the other's, as far as fp32 goes."""
    compared = 0
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        if a.requires_grad:
            assert a.grad is not None and b.grad is not None, name
            scale = b.grad.abs().max().clamp_min(1e-3)
            assert (a.grad - factor * b.grad).abs().max() <= 5e-4 * scale, name
            compared += bool(b.grad.any())
    assert compared > 10


def halves(
    x: Sequence[Tensor], kind: str = "region"
) -> tuple[list[tuple[list[Tensor], MixedView]], MixedView]:
    """Cuts a batch into two devices' batches, mixes each by itself, and gives the mixture of the whole batch too."""
    size = len(x[0]) // 2
    parts = [[view[half * size : (half + 1) * size] for view in x] for half in range(2)]
    mixtures = [mixture(kind, part[0]) for part in parts]
    one, two = mixtures
    whole = one._replace(
        images=torch.cat([one.images, two.images]),
        index=torch.cat([one.index, two.index + size]),
        partner=torch.cat([one.partner, two.partner + size]),
        lam=torch.cat([one.lam, two.lam]),
        mask=None,
        boxes=None,
    )
    return list(zip(parts, mixtures, strict=True)), whole


def calls(model: Any, **modules: nn.Module) -> dict[str, int]:
    """Counts the forward passes of named modules in one training step with mixtures."""
    counts = dict.fromkeys(modules, 0)

    def count(name: str) -> Callable:
        def hook(*_: Any) -> None:
            counts[name] += 1

        return hook

    handles = [module.register_forward_hook(count(name)) for name, module in modules.items()]
    data = model.data_preprocessor(batch(), True)
    assert "mixtures" in data
    before = [view.clone() for view in data["inputs"]]
    total(model(**data, mode="loss")).backward()
    assert all(torch.equal(a, b) for a, b in zip(before, data["inputs"], strict=True))
    for handle in handles:
        handle.remove()
    return counts


def mixed_pair(model: Any, x: Sequence[Tensor]) -> list[MixedView]:
    """Both clean views mixed in the same way."""
    return [mixture("region", x[0], 0), mixture("region", x[1], 1)]
