"""RegionCL: cells by hand, its loss against a transcription on each method, and one neck."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.methods import simsiam
from support.methods_more import densecl
from support.tiny import build, moco, views
from torch import Tensor, nn

from mixssl.models.necks.region_pool import cell_weights
from mixssl.models.parts import Cells
from mixssl.structures import CANVAS, PASTE, EmbeddingId, View

PARTS = {
    "mixer": {"type": "mixssl.RegionCL", "stride": 4, "cells": (2, 3)},
    "mix_head": {"type": "mixssl.RegionCLHead"},
}


def test_cells_of_a_map_by_hand() -> None:
    """A map of 3 x 3; the box has the upper two of the right columns."""
    first = torch.arange(9.0).view(3, 3)
    second = torch.stack([first + 10, torch.ones(3, 3)])
    maps = torch.stack([torch.stack([first, 2 * first]), second])
    boxes = torch.tensor([[0, 1, 2, 3]] * 2)
    method: Any = SimpleNamespace(neck=lambda feats: (feats[0].flatten(1),), teacher=None)
    view = View(2, torch.zeros(2, 3, 3, 3), (CANVAS, PASTE), boxes)
    found = Cells().embed(method, view, (maps,), True)
    assert torch.allclose(found[EmbeddingId(2, CANVAS)], torch.tensor([[4.8, 9.6], [14.8, 1.0]]))
    assert torch.allclose(found[EmbeddingId(2, PASTE)], torch.tensor([[3.0, 6.0], [13.0, 1.0]]))
    assert Cells().embed(method, view._replace(regions=("image",)), (maps,), True) == {}


def test_a_cell_that_is_cut_counts_by_its_share() -> None:
    weights = cell_weights(torch.tensor([[0, 0, 3, 2]]), (4, 4), (2, 2))
    assert torch.allclose(weights[PASTE][0], torch.tensor([[4.0, 0.0], [2.0, 0.0]]) / 6)
    assert torch.allclose(weights[CANVAS][0], torch.tensor([[0.0, 4.0], [2.0, 4.0]]) / 10)


def _unit(rows: Tensor) -> Tensor:
    return rows / rows.norm(dim=1, keepdim=True)


def _regions(model: Any, maps: Tensor, box: list[int]) -> list[Tensor]:
    """Embeddings outside and inside of a box in cells, both through the neck as one batch."""
    top, left, bottom, right = box
    inside = torch.zeros(maps.shape[-2:], dtype=torch.bool)
    inside[top:bottom, left:right] = True
    flat = maps.double()
    pooled = [flat[:, :, ~inside].mean(2), flat[:, :, inside].mean(2)]
    return list(model.neck((torch.cat(pooled).float()[:, :, None, None],))[0].double().chunk(2))


@pytest.mark.parametrize("config", [moco, densecl, simsiam], ids=lambda config: config.__name__)
def test_the_loss_is_that_of_two_regions(config: Any) -> None:
    model, x = build(config(**PARTS)), views(size=32)
    model.mixer.stride, model.mixer.cells = 8, (1, 2)  # of a map of 4 x 4
    (mixed,) = model.mixer(x, torch.Generator().manual_seed(1))
    twin = copy.deepcopy(model)
    twin.update_momentum()
    found = model(x, mode="loss", mixtures=[mixed])["loss_region"]
    box = (mixed.boxes[0] // 8).tolist()
    maps = twin.backbone(mixed.images)[0]
    assert maps.shape[-1] == 4
    canvas, paste = _regions(twin, maps, box)
    partner = mixed.partner
    if config is simsiam:
        target = _unit(twin.neck(twin.backbone(x[1]))[0]).double().detach()
        predicted = [_unit(twin.head.predictor([z.float()])[0].double()) for z in (canvas, paste)]
        own = -(predicted[0] * target).sum(1).mean()
        other = -(predicted[1] * target[partner]).sum(1).mean()
        expected = 0.5 * (own + other) / 2
    else:
        with torch.no_grad():
            key = _unit(twin.encoder_k(x[1])[0]).double()
        canvas, paste, queue = _unit(canvas), _unit(paste), twin.queue.double()
        rows = []
        for i in range(len(canvas)):
            pairs = (canvas[i], key[i], paste[i]), (paste[i], key[partner[i]], canvas[i])
            for query, positive, other in pairs:
                negatives = torch.cat([query @ queue, (query @ other.detach())[None]]) / 0.2
                logit = query @ positive / 0.2
                rows.append(torch.cat([logit[None], negatives]).logsumexp(0) - logit)
        expected = torch.stack(rows).mean() * (0.5 if config is densecl else 1.0)
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    found.backward()
    expected.backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        if b.grad is not None:
            scale = b.grad.abs().max().clamp_min(1e-2)
            assert (a.grad - b.grad).abs().max() <= 1e-3 * scale, name


def test_it_adds_no_module_and_no_key() -> None:
    plain, mixing = build(moco()), build(moco(**PARTS))
    added = mixing.state_dict().keys() - plain.state_dict().keys()
    assert all(name.startswith("data_preprocessor.random") for name in added)
    assert {name for name, module in mixing.named_children() if isinstance(module, nn.Module)} - {
        name for name, _ in plain.named_children()
    } == {"mix_head"}
