"""What a step moves between devices: as often and as much as the documents say."""

from __future__ import annotations

import re
from itertools import chain

import pytest
import torch
import torch.distributed as dist
from support.ddp import run_ranks
from support.grid import BACKBONE, CONFIGS
from support.tiny import DIM, MIX_HEAD, build, moco, preprocessor, total, views
from support.tools import ROOT
from torch import Tensor

N, PIXELS = 8, 16
COLLECTIVES = ("broadcast", "all_gather", "all_reduce")
UNMIX = {"type": "mixssl.UnMix", "alpha": 1.0, "p_global": 0.0}


def _collectives(rank: int, method: str) -> list[Tensor]:
    """Which collectives a step calls, and with how many bytes of this device's."""
    if method == "MoCo":
        cfg = moco("mixssl.MixMoCo", UNMIX)
    else:
        cfg = CONFIGS["MixSimCLR"]("mixssl.MixSimCLR", backbone=BACKBONE)
        cfg |= {"data_preprocessor": preprocessor(UNMIX), "mix_head": MIX_HEAD}
    model, calls = build(cfg), []

    def watch(number: int, name: str) -> None:
        call = getattr(dist, name)

        def noted(*args, **kwargs):
            own = args[1] if name == "all_gather" else args[0]
            calls.append(torch.tensor([number, own.numel() * own.element_size()]))
            return call(*args, **kwargs)

        setattr(dist, name, noted)

    for number, name in enumerate(COLLECTIVES):
        watch(number, name)
    optimizer = torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1)
    batch = {"inputs": views(N, PIXELS), "data_samples": None}
    total(model(**model.data_preprocessor(batch, True), mode="loss")).backward()
    optimizer.step()
    return calls


@pytest.mark.slow
@pytest.mark.parametrize("method", ["MoCo", "SimCLR"])
def test_a_step_calls_no_collective_that_the_page_does_not_name(method: str) -> None:
    """Gradients apart, which are DistributedDataParallel's, and SyncBN, which needs GPUs."""
    order, images, keys = 2 * N * 8, N * 3 * PIXELS**2 * 4, N * DIM * 4
    pair = 2 * keys
    expected = {
        "MoCo": [("broadcast", order), ("all_gather", images), *2 * [("all_gather", keys)]],
        "SimCLR": [*2 * [("all_gather", pair)], *2 * [("all_reduce", 2 * pair)]],
    }
    for calls in run_ranks(_collectives, method):
        assert [(COLLECTIVES[number], size) for number, size in calls] == expected[method]


def _gather(own: float, devices: int) -> float:
    return (devices - 1) * own


def _reduce(whole: float, devices: int) -> float:
    return 2 * (devices - 1) / devices * whole


def _table() -> list[tuple[str, list[float]]]:
    """The page's table from its formulas, in MB and ms; the sizes are those of the configs."""
    devices, rows = (8, 16, 64, 256), []

    def add(method: str, parts: dict[str, list[float]]) -> None:
        names = iter([f"{method}: gradients", *list(parts)[1:]])
        rows.extend((next(names), [value / 1e6 for value in part]) for part in parts.values())
        whole = [sum(column) for column in zip(*parts.values(), strict=True)]
        rows.extend(
            (f"ms at {speed} GB/s", [b / speed / 1e6 for b in whole]) for speed in (200, 12.5)
        )

    n, images, key = 32, 32 * 3 * 224**2 * 4, 128 * 4
    moco = {
        "gradients": [_reduce(27_966_656 * 4, w) for w in devices],
        "shuffled images": [_gather(images, w) for w in devices],
        "keys": [2 * _gather(n * key, w) + n * w * 8 for w in devices],
    }
    add(f"MoCo v2 + Un-Mix, N = {n}", moco)
    n, channels, layers = 256, 28_736, 55
    pair = 2 * n * key
    simclr = {
        "gradients": [_reduce(27_968_832 * 4, w) for w in devices],
        "embeddings": [2 * (_gather(pair, w) + _reduce(w * pair, w)) for w in devices],
        "SyncBN": [
            2 * 4 * (_gather(2 * channels + layers, w) + _reduce(2 * channels, w)) for w in devices
        ],
    }
    add(f"SimCLR + Un-Mix, N = {n}", simclr)
    return rows


def test_the_page_has_the_figures_that_its_formulas_give() -> None:
    page = (ROOT / "docs/en/user_guides/several_machines.md").read_text()
    found = re.search(r"<!-- traffic -->\n(.*?)<!-- /traffic -->", page, re.S)
    assert found
    lines = [line.strip("| ").split(" | ") for line in found[1].splitlines()[2:]]
    expected = [[name, *(f"{value:.1f}" for value in values)] for name, values in _table()]
    assert list(chain(*lines)) == list(chain(*expected))
