"""Configs of a comparison that take seconds."""

from __future__ import annotations

from pathlib import Path

from support.tools import ROOT

TINY = """
_base_ = [{base!r}]
model = dict(
    queue_len=64, feat_dim=8, backbone=dict(stem_channels=4, base_channels=4),
    neck=dict(in_channels=32, hid_channels=8, out_channels=8))
train_dataloader = dict(batch_size=16, dataset=dict(indices=64))
knn_bank = dict(batch_size=64, dataset=dict(indices=60))
knn_query = dict(batch_size=64, dataset=dict(indices=40))
default_hooks = dict(logger=dict(interval=2))
"""


def write_experiment_config(folder: Path, name: str, mixed: bool = True, more: str = "") -> Path:
    """Writes a small MoCo on 64 digits, with or without Un-Mix."""
    base = "unmix_mocov2_r18_digits.py" if mixed else "mocov2_r18_digits.py"
    path = folder / f"{name}.py"
    path.write_text(TINY.format(base=str(ROOT / "configs" / "demo" / base)) + more)
    return path
