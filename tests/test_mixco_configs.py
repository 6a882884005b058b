"""MixCo's rows with labels are trained as those without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.models import ImageClassifier
from mmpretrain.utils import register_all_modules

ROOT = Path(__file__).parents[1] / "configs/mixco"
ROWS = {18: (100, 512), 34: (200, 512), 50: (200, 2048)}
"""Epochs (Table 1) and channels of the last map, by depth."""


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


@pytest.mark.parametrize("depth", ROWS)
def test_rows_with_labels_are_trained_as_the_others_are_pre_trained(depth: int) -> None:
    cfg = Config.fromfile(ROOT / f"supervised_r{depth}_tiny.py")
    pre = Config.fromfile(ROOT / f"mocov2_r{depth}_tiny.py")
    for key in ("optim_wrapper", "param_scheduler", "auto_scale_lr"):
        assert cfg[key] == pre[key], key
    assert cfg.train_cfg.max_epochs == pre.train_cfg.max_epochs == ROWS[depth][0]
    assert cfg.train_dataloader.batch_size == pre.train_dataloader.batch_size == 64
    linear = Config.fromfile(ROOT.parent / f"benchmarks/linear/r{depth}_mixco_tiny.py")
    for part in ("train_dataloader", "val_dataloader"):
        assert cfg[part].dataset == linear[part].dataset
    assert cfg.data_preprocessor == linear.data_preprocessor

    model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
    assert type(model) is ImageClassifier and model.backbone.depth == depth
    assert all(p.requires_grad for p in model.parameters())
    assert (model.head.num_classes, model.head.in_channels) == (200, ROWS[depth][1])
