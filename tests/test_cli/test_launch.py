"""What the tools do with a config for a detector, and for a machine with one device."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from support.tools import write_tiny
from torch import nn

from mixssl.cli import launch
from mixssl.cli.launch import (
    load_config,
    set_data_root,
)
from mixssl.cli.run_defaults import fill_loaders
from mixssl.cli.runners import build_runner
from mixssl.utils.errors import ConfigError


@pytest.mark.parametrize(
    ("scope", "collate"), [("mmdet", "pseudo_collate"), ("mmpretrain", "default_collate")]
)
def test_detectors_get_lists_and_everything_else_stacked_images(scope: str, collate: str) -> None:
    loader = {"num_workers": 0}
    own = {"num_workers": 0, "collate_fn": {"type": "mine"}}
    cfg = Config({"default_scope": scope, "train_dataloader": loader, "val_dataloader": own})
    fill_loaders(cfg, pin_memory=False, persistent_workers=None)
    assert cfg.train_dataloader.collate_fn.type == collate
    assert cfg.val_dataloader.collate_fn.type == "mine"


def _missing() -> None:
    raise ConfigError("detection needs mmdet: run make det")


@pytest.mark.parametrize(
    "text",
    ["default_scope = 'mmdet'\n", "_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py']\n"],
)
def test_a_detectors_config_says_first_what_is_missing(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "require_detection", _missing)
    monkeypatch.setattr("mmengine.config.config.is_installed", lambda package: False)
    (tmp_path / "base.py").write_text(text)
    path = tmp_path / "detector.py"
    path.write_text("_base_ = ['./base.py']\n")
    args = argparse.Namespace(config=str(path), launcher="none", work_dir=None, local_rank=0)
    with pytest.raises(ConfigError, match="run make det"):
        load_config(args)


def test_other_configs_do_not_ask_for_detection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "require_detection", _missing)
    args = argparse.Namespace(
        config=str(write_tiny(tmp_path)), launcher="none", work_dir=str(tmp_path), local_rank=0
    )
    assert load_config(args).work_dir == str(tmp_path)


def test_one_process_has_plain_bn_for_sync_bn_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_RUN", "one_process")
    cfg = Config.fromfile(write_tiny(tmp_path))
    cfg.merge_from_dict({"model.backbone.norm_cfg": {"type": "SyncBN"}})
    cfg.work_dir, cfg.launcher = str(tmp_path), "none"
    runner = build_runner(cfg, notes=[])
    kinds = {type(module) for module in runner.model.modules()}
    assert nn.SyncBatchNorm not in kinds
    plain = [
        m for m in runner.model.backbone.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)
    ]
    (log,) = tmp_path.rglob("*.log")
    assert "SyncBN) layers in the model will be automatically reverted" in log.read_text()
    assert plain
    assert runner.model.backbone(torch.zeros(2, 3, 16, 16))[0].isfinite().all()


def test_annotations_move_with_the_data() -> None:
    cfg = Config(
        {
            "val_dataloader": {"dataset": {"type": "CocoDataset", "data_root": "data/coco"}},
            "val_evaluator": {"type": "CocoMetric", "ann_file": "data/coco/annotations/val.json"},
            "test_evaluator": [
                {"type": "VOCMetric"},
                {"type": "CocoMetric", "ann_file": "elsewhere/val.json"},
            ],
        }
    )
    set_data_root(cfg, "/data/coco17")
    assert cfg.val_dataloader.dataset.data_root == "/data/coco17"
    assert cfg.val_evaluator.ann_file == "/data/coco17/annotations/val.json"
    assert cfg.test_evaluator[1].ann_file == "elsewhere/val.json"
