"""A config of a small pre-trained model with its images, and a checkpoint, for the tools that look at one."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from support.tiny import build
from support.tools import ROOT

CONFIG = """
_base_ = [{base!r}]
model = dict(
    queue_len=64, feat_dim=8, backbone=dict(stem_channels=4, base_channels=4),
    neck=dict(in_channels=32, hid_channels=8, out_channels=8))
knn_bank = dict(batch_size=64, dataset=dict(indices={bank}))
knn_query = dict(batch_size=64, dataset=dict(indices={query}))
"""


def write_config(folder: Path, bank: int = 120, query: int = 60) -> Path:
    """Writes a config of a small MoCo on a few digits."""
    base = ROOT / "configs" / "demo" / "unmix_mocov2_r18_digits.py"
    path = folder / "small.py"
    path.write_text(CONFIG.format(base=str(base), bank=bank, query=query))
    return path


def write_checkpoint(config: Path, name: str = "weights.pth", seed: int = 0) -> Path:
    """Saves a config's model as a run would, with weights drawn from a seed."""
    cfg = Config.fromfile(config)
    model = build({**cfg.model, "data_preprocessor": cfg.data_preprocessor}, seed)
    path = config.parent / name
    torch.save({"state_dict": model.state_dict(), "meta": {}}, path)
    return path
