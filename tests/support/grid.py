"""Trains a method with a mixture for a few steps and says what was wrong with it; loads the list of recipes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseAveragedModel
from support import methods, methods_more
from support.clusters import clusters, samples, start
from support.tiny import DIM, WIDTH, backbone, build, preprocessor, sgd, total, views
from torch import Tensor, nn

BATCH, SIZE, STEPS = 8, 8, 3
BACKBONE = backbone(
    num_stages=2,
    strides=(1, 2),
    dilations=(1, 1),
    out_indices=(1,),
    base_channels=WIDTH * 4,
    stem_channels=WIDTH,
    frozen_stages=0,
)
"""Half a ResNet-18 with as many channels at its end as that of tiny.py; its stem is frozen."""
CONFIGS = methods.METHODS | methods_more.METHODS
"""By the name a method is registered under: a function that gives a small config."""
READS = {"layer": "layer1", "in_channels": WIDTH * 4}
"""What a Mix Block reads of it."""
OF_TEACHER = {"MixDistill": {"in_channels": WIDTH}}
"""What it reads of a teacher that is another network."""
REGION_NECK = {"type": "mixssl.RegionPool", "in_channels": WIDTH * 8, "out_channels": DIM}
REGIONAL: dict[str, dict] = {
    "MixBYOL": {"region_neck": REGION_NECK, "region_head": methods.byol()["head"]},
    "MixMoCo": {"region_neck": REGION_NECK},
    "MixSimCLR": {"region_neck": REGION_NECK},
}
"""What a method that can pool regions must be given to do so."""


def config(method: str, mixer: dict | None, head: dict | None, model: dict) -> dict:
    """Config of a method with a recipe, small enough for a test."""
    if "mix_block" in model:
        model = model | {"mix_block": model["mix_block"] | READS | OF_TEACHER.get(method, {})}
    if "clusters" in model:
        model = model | {"clusters": clusters(feat_dim=4 if method == "MixWMSE" else DIM)}
    needs_regions = head is not None and "LocalGlobal" in head["type"]
    return CONFIGS[method](
        f"mixssl.{method}",
        backbone=BACKBONE,
        data_preprocessor=preprocessor(mixer),
        mix_head=head,
        **(REGIONAL.get(method, {}) if needs_regions else {}),
        **model,
    )


class Trained(NamedTuple):
    """What three steps left behind.

    Attributes:
        losses: Loss dict of each step.
        state: State dict after the last.
        idle: Trained parameters that got no gradient.
    """

    losses: list[dict[str, Tensor]]
    state: dict[str, Tensor]
    idle: set[str]


def three_steps(cfg: dict, widths: tuple[float, ...] = (1.0, 1.0)) -> Trained:
    """Takes steps on random views, and asserts at each what every method promises."""
    model = build(cfg)
    start(model)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    copies = _momentum_copies(model)
    optimizer, losses = sgd(model), []
    largest = {name: 0.0 for name, p in model.named_parameters() if p.requires_grad}
    idle = set(largest)
    with _only_by_averaging(copies) as moves:
        for step in range(STEPS):
            clean = _views(step, widths)
            kept = [view.clone() for view in clean]
            places = samples(range(step * BATCH, (step + 1) * BATCH))
            data = model.data_preprocessor({"inputs": clean, "data_samples": places}, True)
            found = model(**data, mode="loss")
            assert all(torch.equal(a, b) for a, b in zip(kept, clean, strict=True)), (
                "inputs changed"
            )
            assert all(value.ndim == 0 and value.isfinite() for value in found.values()), found
            optimizer.zero_grad()
            total(found).backward()
            for name, parameter in model.named_parameters():
                if parameter.grad is not None:
                    assert parameter.grad.isfinite().all(), f"gradient of {name}"
                    largest[name] = max(largest[name], parameter.grad.abs().max().item())
                    idle.discard(name)
            optimizer.step()
            losses.append({name: value.detach() for name, value in found.items()})
    assert all(count == STEPS for count in moves.values()), f"momentum steps: {moves}"
    _assert_moved(model, before, largest)
    return Trained(losses, model.state_dict(), idle)


def _views(step: int, widths: tuple[float, ...]) -> list[Tensor]:
    return [
        views(BATCH, int(SIZE * width), seed=10 * step + number, count=1)[0]
        for number, width in enumerate(widths)
    ]


def _assert_moved(model: nn.Module, before: dict[str, Tensor], largest: dict[str, float]) -> None:
    """What has a gradient has moved, what is frozen has not, and something of every trained part has moved."""
    copied = tuple(f"{name}." for name, _ in _momentum_copies(model).items())
    parts: dict[str, bool] = {}
    for name, parameter in model.named_parameters():
        moved = not torch.equal(parameter, before[name])
        if parameter.requires_grad:
            part = name.split(".")[0]
            parts[part] = parts.get(part, False) or moved
            assert moved or largest[name] < 1e-6, f"{name} has a gradient and did not move"
        elif not name.startswith(copied):
            assert not moved, f"{name} is frozen and moved"
    assert all(parts.values()) and {"backbone", "neck"} <= set(parts), parts
    assert any(not parameter.requires_grad for parameter in model.backbone.parameters())


def _momentum_copies(model: nn.Module) -> dict[str, BaseAveragedModel]:
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, BaseAveragedModel)
    }


@contextmanager
def _only_by_averaging(copies: dict[str, BaseAveragedModel]) -> Iterator[dict[str, int]]:
    """Asserts that parameters of copies change in their own update alone, and only towards what they copy.

    Yields:
        Number of updates of each copy.
    """
    moves = dict.fromkeys(copies, 0)
    last = {name: _parameters(copy) for name, copy in copies.items()}

    def watched(name: str, copy: BaseAveragedModel) -> Any:
        update = copy.update_parameters

        def call(source: nn.Module, *passes: int) -> None:
            _assert_same(name, copy, last[name])
            update(source, *passes)
            for old, new, aim in zip(
                last[name], copy.module.parameters(), source.parameters(), strict=True
            ):
                low, high = torch.minimum(old, aim) - 1e-6, torch.maximum(old, aim) + 1e-6
                assert ((new >= low) & (new <= high)).all(), f"{name} moved past what it copies"
            last[name] = _parameters(copy)
            moves[name] += 1

        return call

    for name, copy in copies.items():
        copy.update_parameters = watched(name, copy)
    yield moves
    for name, copy in copies.items():
        _assert_same(name, copy, last[name])


def _parameters(copy: BaseAveragedModel) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in copy.module.parameters()]


def _assert_same(name: str, copy: BaseAveragedModel, expected: list[Tensor]) -> None:
    found = copy.module.parameters()
    assert all(map(torch.equal, found, expected)), f"{name} moved by something else than averaging"
