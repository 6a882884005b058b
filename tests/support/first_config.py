"""The README's first example, a config of mmpretrain's with three dicts, made small enough for a test."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image
from support.tools import NAME, ROOT

SMALL = """
_base_ = ['./readme.py']
model = dict(
    queue_len=32, feat_dim=8, backbone=dict(depth=18, stem_channels=4, base_channels=4),
    neck=dict(in_channels=32, hid_channels=8, out_channels=8))
train_dataloader = dict(
    batch_size=8, num_workers=0, persistent_workers=False,
    dataset=dict(
        _delete_=True, type='CustomDataset', with_label=False, data_root={images!r},
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='MultiView', num_views=2, transforms=[[dict(type='RandomResizedCrop', scale=32)]]),
            dict(type='PackInputs')]))
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=2))
auto_scale_lr = None
{name}
"""


def write_images(folder: Path, number: int, size: int = 40) -> Path:
    """Writes images of noise, ``0.png`` and so on, into a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0)
    for i in range(number):
        Image.fromarray(noise.integers(0, 256, (size, size, 3), np.uint8)).save(folder / f"{i}.png")
    return folder


def write_first_config(folder: Path, images: int = 32) -> Path:
    """Writes the README's example as it stands there, and one that inherits it and is small.

    Args:
        folder: Where; images go below it.
        images: How many; eight make a batch.
    """
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert example and "mmpretrain::" in example[1] and "runtime" not in example[1]
    (folder / "readme.py").write_text(example[1])
    path = folder / "small.py"
    path.write_text(SMALL.format(images=str(write_images(folder / "images", images)), name=NAME))
    return path
