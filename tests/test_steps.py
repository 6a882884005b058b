"""Every recipe, with its mixture and without, and every row of the papers' tables takes a step at small size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.models import ImageClassifier
from mmpretrain.utils import register_all_modules
from support.clusters import start
from support.methods_more import run_length
from support.recipes import (
    counted_units,
    optim_wrapper,
    random_batch,
    shrunk,
    side,
    small_side,
    with_options,
)
from support.tiny import build
from support.tools import load_tool

pytestmark = pytest.mark.device
ROOT = Path(__file__).parents[1] / "configs"
PAPERS = load_tool("papers", "docs")
CONFIGS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if "_base_" not in path.parts and "benchmarks" not in path.parts
)
UNITS = {
    "asymsiam/mocov2_r50_cropmix_in1k.py": 4,
    "asymsiam/mocov2_r50_in1k.py": 4,
    "asymsiam/mocov2_r50_meanenc_in1k.py": 5,
    "asymsiam/mocov2_r50_scalemix_in1k.py": 4,
    "comparisons/moco_r18_meanenc_cifar10.py": 5,
    "fastsiam/fastsiam_r18_cifar10.py": 12,
    "fastsiam/simsiam_r18_cifar10.py": 6,
    "mixbt/barlowtwins_r18_cifar10.py": 9,
    "mixbt/barlowtwins_r50_in1k.py": 9,
    "comparisons/moco_r18_cropmix_cifar10.py": 4,
    "comparisons/moco_r18_mixco_cutmix_cifar10.py": 8.5,
    "comparisons/moco_r18_mixmask_cifar10.py": 7,
    "comparisons/moco_r18_scalemix_cifar10.py": 4,
    "comparisons/moco_r18_unmix_mixmask_cifar10.py": 10,
    "comparisons/moco_r18_unmix_scalemix_cifar10.py": 7,
    "mixmask/mocov2_r50_both_in1k.py": 10,
    "distill/resnet18_cifar10.py": 4,
    "distill/resnet18_vitb_in1k.py": 4,
    "distill/resnet50_vitb_in1k.py": 4,
    "distill/vits_vitb_in1k.py": 4,
    "comparisons/moco_r18_regioncl_cifar10.py": 7,
    "regioncl/densecl_r50_in1k.py": 7,
    "regioncl/mocov2_r50_in1k.py": 7,
    "regioncl/simsiam_r50_in1k.py": 9,
    "vicreg/r18_cifar10.py": 6,
    "vicreg/r18_unmix_cifar10.py": 9,
    "vicreg/r50_in1k.py": 6,
    "vicreg/r50_unmix_in1k.py": 9,
    "mixmask/mocov2_r50_in1k.py": 7,
}
"""Compute of recipes that no table of the four papers has."""
LENGTH = ("train_cfg.", "param_scheduler.")
"""Options that change how long is trained, and so no step."""
POLICIES = "amix/mocov2_r18_policies_tiny.py"
LABELS = "amix/supervised_r18_cifar100.py"
FAST = {
    ("amix/amixc_mocov2_r50_stl10.py", ""),
    ("amix/mocov2_r18_tiny.py", ""),
    ("comparisons/moco_r18_cropmix_cifar10.py", ""),
    ("distill/resnet18_cifar10.py", ""),
    ("distill/vits_vitb_in1k.py", ""),
    ("fastsiam/fastsiam_r18_cifar10.py", ""),
    ("mixbt/barlowtwins_r18_cifar10.py", ""),
    ("local_global/moco_r18_inter_cifar10.py", ""),
    ("local_global/moco_r18_intra_cifar10.py", ""),
    ("mixco/mocov2_r18_tiny.py", ""),
    ("regioncl/densecl_r50_in1k.py", ""),
    ("vicreg/r18_unmix_cifar10.py", ""),
    ("mixco/simclr_r18_tiny.py", ""),
    ("unmix/byol_r18_cifar10.py", ""),
    ("unmix/mocov2_r50_multiscale_in1k.py", ""),
    ("unmix/simclr_r18_both_stl10.py", ""),
    ("unmix/swav_r50_in1k.py", ""),
    ("unmix/wmse4_r18_tiny.py", ""),
    ("amix/supervised_r18_tiny.py", ""),
    ("amix/supervised_r18_automix_cifar100.py", ""),
    ("amix/supervised_rx50_cub200.py", ""),
    (POLICIES, "MoCHi"),
    (POLICIES, "IMix"),
    (LABELS, "type=CutMix"),
    (LABELS, "ManifoldMix"),
    (LABELS, "ClusterPuzzleMix"),
    ("amix/mocov2_r18_puzzlemix_tiny.py", "InterIntra"),
}
"""A recipe and a part of its options, of each kind; the others take their steps in the slow tests."""


def _steps() -> list[Any]:
    """Recipes and their options, each once, with the units that a row of a paper says."""
    wanted: dict[tuple[str, tuple[str, ...]], float | None] = {}
    for name in CONFIGS:
        of_block = name.startswith("amix/supervised")
        switch = "model.mix_block=None" if of_block else "data_preprocessor.mixer=None"
        wanted[name, ()] = UNITS.get(name)
        if of_block or "supervised" not in name:
            wanted[name, (switch,)] = None
    for folder in PAPERS.PAPERS:
        for row in PAPERS.rows(folder):
            if row.config is not None:
                options = tuple(o for o in row.options if not o.startswith(LENGTH))
                key = row.config, options
                assert wanted.get(key) in (None, row.units), (
                    f"{row.table}, {row.name}: {row.units} units"
                )
                wanted[key] = row.units
    found, seen = [], set()
    for (name, options), units in wanted.items():
        said = " ".join(options)
        kind = next(
            (k for k in FAST if k[0] == name and bool(k[1]) == bool(said) and k[1] in said), None
        )
        fast = kind is not None and kind not in seen
        seen.add(kind)
        marks = () if fast else pytest.mark.slow
        found.append(pytest.param(name, options, units, id=" ".join([name, *options]), marks=marks))
    return found


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"), run_length(1000):
        yield


def _sides(cfg: Config) -> dict[int, int]:
    """Sides of the recipe's images, by those of the small ones."""
    steps = cfg.train_dataloader.dataset.pipeline
    (multi,) = [step for step in steps if step["type"] == "MultiView"] or [None]
    kinds = [steps] if multi is None else multi["transforms"]
    return {small_side(kind): side(kind) or 16 for kind in kinds}


@pytest.mark.parametrize(("name", "options", "units"), _steps())
def test_a_step_at_small_size(name: str, options: tuple[str, ...], units: float | None) -> None:
    cfg = with_options(Config.fromfile(ROOT / name), options)
    model = build(shrunk(cfg))
    start(model)
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    before = {key: value.detach().clone() for key, value in trained.items()}
    with counted_units(model, _sides(cfg)) as passes:
        losses = model.train_step(random_batch(cfg), optim_wrapper(cfg, model))
    assert all(value.isfinite() for value in losses.values())
    _check_names(model, set(losses))
    assert not [key for key, value in trained.items() if value.equal(before[key])]
    assert units is None or sum(passes) == pytest.approx(units, rel=2e-3)
    if isinstance(model, ImageClassifier):
        with torch.no_grad():
            predicted = model.eval().test_step(random_batch(cfg))
        assert predicted[0].pred_score.sum().item() == pytest.approx(1, abs=1e-4)


def _check_names(model: Any, found: set[str]) -> None:
    """There is a loss for everything that the model has, and none for what it has not."""
    mixer, block = getattr(model, "mixer", None), getattr(model, "mix_block", None)
    masks = {"loss_mask_mean", "loss_mask_var"} if block is not None else set()
    if block is not None and not block.variance_weight:
        masks.remove("loss_mask_var")
    assert {name for name in found if name.startswith("loss_mask")} == masks
    of_block = {name for name in found if name.startswith("loss_block")}
    assert bool(of_block) == (block is not None)
    assert ("loss_cluster" in found) == (getattr(model, "clusters", None) is not None)
    rest = found - of_block - masks - {"loss", "loss_cluster", "loss_dense"}
    if isinstance(model, ImageClassifier):
        expected = {"loss_mix"} if mixer is not None else set()
        assert rest == expected | ({"loss_clean"} if block is not None else set())
    else:
        head = model.mix_head
        clean = rest & {"loss_clean", "loss_single"}
        assert bool(clean) == (mixer is None or bool(head.clean_weight))
        assert bool(rest - clean) == (mixer is not None)
