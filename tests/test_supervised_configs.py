"""The classifiers' configs beside what test_papers.py holds them to: how they are tested, and what the block reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.utils import register_all_modules

ROOT = Path(__file__).parents[1] / "configs/amix"
CONFIGS = sorted(path.stem for path in ROOT.glob("supervised_*.py"))
assert CONFIGS


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def test_every_epoch_is_tested_and_the_median_of_the_last_counts(
    subtests: pytest.Subtests,
) -> None:
    for name in CONFIGS:
        with subtests.test(name):
            _check_testing(name)


def _check_testing(name: str) -> None:
    cfg = Config.fromfile(ROOT / f"{name}.py")
    data = name.rsplit("_", 1)[1]
    assert cfg.data_preprocessor.num_classes == cfg.model.head.num_classes
    assert cfg.train_cfg.val_interval == 1
    median = dict(type="mixssl.MedianHook", metric="accuracy/top1", last=10)
    assert cfg.default_hooks.median == median
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.collate_fn == {"type": "default_collate"}
        assert loader.dataset.data_root == cfg.train_dataloader.dataset.data_root
    assert cfg.val_dataloader == cfg.test_dataloader
    assert cfg.val_dataloader.dataset.split == ("val" if data in ("tiny", "in1k") else "test")


def test_the_block_reads_the_maps_of_the_third_stage(subtests: pytest.Subtests) -> None:
    for name in CONFIGS:
        with subtests.test(name):
            _check_block(name)


def _check_block(name: str) -> None:
    cfg = Config.fromfile(ROOT / f"{name}.py")
    model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
    assert model.data_preprocessor._enable_normalize
    size = 32 if "cifar100" in name else 64 if "tiny" in name else 224
    third = size // (4 if size < 224 else 16)
    maps = {}
    model.backbone.layer3.register_forward_hook(lambda *args: maps.update(out=args[2].shape))
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, size, size)).shape[1] == cfg.model.head.num_classes
    assert maps["out"] == (1, model.mix_block.in_channels, third, third)


def test_torchvisions_weights_fit_the_fine_tuned_backbones() -> None:
    torchvision = pytest.importorskip("torchvision")
    for name, function in (("r18", "resnet18"), ("rx50", "resnext50_32x4d")):
        cfg = Config.fromfile(ROOT / f"supervised_{name}_cub200.py")
        assert cfg.model.backbone.init_cfg.checkpoint == f"torchvision://{function}"
        theirs = getattr(torchvision.models, function)().state_dict()
        ours = MODELS.build(cfg.model.backbone).state_dict()
        theirs = {key: value for key, value in theirs.items() if not key.startswith("fc.")}
        assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
