"""No training step reads anything back from the device, which would have to stop for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from mmengine.config import Config
from support.clusters import samples, start
from support.device import DEVICE
from support.grid import BATCH, CONFIGS, SIZE, config
from support.host_reads import host_reads
from support.methods_more import run_length
from support.tiny import build, sgd, total, views
from support.tools import ROOT, load_tool
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mixssl.cli.speed import augment_on_device
from mixssl.models.methods import MixtureMethod
from mixssl.registry import MODELS

pytestmark = pytest.mark.device
GRID = load_tool("grid", "docs")
STEPS = 3
STAND_IN = pytest.mark.cpu(reason="about the CPU as a stand-in for a GPU")
SINGLE = [GRID.Recipe("no mixture", "", None, None), GRID.RECIPES[0]]


def _cases() -> dict[str, list[Any]]:
    """Every method without and with Un-Mix, and every recipe on a method that carries it; by method."""
    methods, seen = GRID.methods(), set()
    cases: dict[str, list[Any]] = {name: [] for name in methods}
    for name in sorted(methods, key=lambda name: name != "MixMoCo"):
        for recipe in [*SINGLE, *GRID.RECIPES]:
            if GRID.lacking(methods[name], recipe):
                continue
            if recipe in SINGLE or recipe.name not in seen:
                seen.add(recipe.name)
                cases[name].append(recipe)
    return cases


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def _reads(model: Any, widths: tuple[float, ...]) -> list[str]:
    """What steps read but the first, which reads the counters of the host once."""
    optimizer, found = sgd(model), []
    for step in range(STEPS):
        clean = [
            views(BATCH, int(SIZE * width), seed=10 * step + number, count=1)[0]
            for number, width in enumerate(widths)
        ]
        places = samples(range(step * BATCH, (step + 1) * BATCH))
        watched = host_reads(*model.parameters(), *model.buffers(), *clean)
        with watched if step else nullcontext([]) as reads:
            data = model.data_preprocessor({"inputs": clean, "data_samples": places}, True)
            loss = total(model(**data, mode="loss"))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found += reads
    return found


@pytest.mark.parametrize(("method", "recipes"), _cases().items())
def test_a_step_reads_nothing(method: str, recipes: list[Any], subtests: pytest.Subtests) -> None:
    assert recipes
    for recipe in recipes:
        with subtests.test(recipe.name):
            _check_step(method, recipe)


def _check_step(method: str, recipe: Any) -> None:
    model = build(config(method, recipe.mixer, recipe.head, recipe.model))
    assert isinstance(model, MixtureMethod) and method in CONFIGS
    start(model)
    assert not _reads(model, recipe.widths)


@STAND_IN
@pytest.mark.parametrize(
    "read",
    [
        lambda x: x.sum().item(),
        lambda x: float((x + 1)[0, 0]),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: (x * 2).nonzero(),
        lambda x: x.mean().tolist(),
        lambda x: x + torch.ones(3).to(x.device),
        lambda x: x + torch.tensor([1.0, 2.0, 3.0], device=x.device),
        lambda x: torch.arange(3, device=x.device).max().item(),
    ],
)
def test_reads_are_found(read: Any) -> None:
    x = torch.randn(2, 3)
    with host_reads(x) as found:
        read(x)
    assert len(found) == 1


@STAND_IN
def test_draws_of_the_host_are_free() -> None:
    x = torch.randn(2, 3)
    with host_reads(x) as found:
        lam = torch.rand(2)
        float(lam.max())
        x * lam.to(x.device, non_blocking=True)[:, None]
    assert not found


class _Made(TorchDispatchMode):
    """Counts the operations whose result has as many numbers as asked for, and memory of its own."""

    def __init__(self, numel: int) -> None:
        super().__init__()
        self.numel = numel
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        given = {x.untyped_storage()._cdata for x in tree_leaves(args) if isinstance(x, Tensor)}
        out = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(out):
            own = isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in given
            if own and leaf.numel() == self.numel:
                self.found[str(func.overloadpacket)] += 1
        return out


@pytest.mark.parametrize("recipe", [*SINGLE, GRID.RECIPES[1]], ids=lambda recipe: recipe.name)
def test_the_queue_is_never_copied_and_its_logits_are_computed_once(recipe: Any) -> None:
    batch, length = (
        6,
        264,
    )  # no other tensor of a step has as many numbers as the queue, or as its logits
    model = build(
        config("MixMoCo", recipe.mixer, recipe.head, recipe.model)
        | {"queue_len": length, "symmetric": True}
    )
    optimizer = sgd(model)
    queue, logits = _Made(model.queue.numel()), _Made(batch * length)
    with queue, logits:
        data = model.data_preprocessor({"inputs": views(batch, SIZE), "data_samples": None}, True)
        loss = total(model(**data, mode="loss"))
        loss.backward()
        optimizer.step()
    assert not queue.found
    encoded = 2 + len(data.get("mixtures", []))
    forward = {name: count for name, count in logits.found.items() if "backward" not in name}
    assert forward["aten.bmm"] == encoded, forward
    assert not {"aten.clone", "aten.copy_", "aten._to_copy"} & set(forward), forward


PIPELINES = [
    "unmix/moco_r18_cifar10.py",
    "unmix/byol_r18_cifar10.py",
    "unmix/simclr_r18_stl10.py",
    "unmix/swav_r50_in1k.py",
]
"""Between them all operations."""


@pytest.mark.parametrize("name", PIPELINES)
def test_views_made_on_the_device_read_nothing(name: str) -> None:
    cfg = Config.fromfile(ROOT / "configs" / name)
    augment_on_device(cfg)
    settings = cfg.data_preprocessor.to_dict() | {"mixer": None, "seed": 0}
    settings["type"] = "mixssl.InstanceMixDataPreprocessor"
    preprocessor = MODELS.build(settings).to(DEVICE)
    images = torch.randint(0, 256, (6, 3, 40, 40), dtype=torch.uint8).to(DEVICE)
    for step in range(2):
        watched = host_reads(images, *preprocessor.buffers())
        with watched if step else nullcontext([]) as found:
            made = preprocessor({"inputs": images, "data_samples": None}, True)["inputs"]
        assert all(view.isfinite().all() for view in made)
        assert not found
