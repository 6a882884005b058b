"""Detectors and data sets small enough for a test."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from torch import nn

NARROWER = 16
"""How much narrower a shrunk detector is: 64 base channels become 4."""
CHANNELS = ("in_channels", "out_channels", "feat_channels", "conv_out_channels", "fc_out_channels")
FEWER = {"num": 16, "nms_pre": 100, "max_per_img": 30}
VOC_OBJECT = """
<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>
<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"""


def shrunk_detector(cfg: Config) -> dict[str, Any]:
    """A config's model, as deep as before, narrow, and with few regions."""
    model: dict = copy.deepcopy(cfg.model.to_dict())
    _shrink(model)
    model["backbone"] |= {"base_channels": 64 // NARROWER, "stem_channels": 64 // NARROWER}
    model["train_cfg"]["rpn"]["sampler"]["num"] = (
        4096  # all, so that every level has a share in the loss
    )
    shared = model["roi_head"].get("shared_head")
    if shared is not None:
        shared["base_channels"] = 64 // NARROWER
    return model


def _shrink(node: dict) -> None:
    """Makes smaller what is large, in place."""
    for key, value in node.items():
        if isinstance(value, dict):
            _shrink(value)
        elif key in CHANNELS:
            node[key] = (
                [n // NARROWER for n in value] if isinstance(value, list) else value // NARROWER
            )
        elif key in FEWER:
            node[key] = FEWER[key]


def build_detector(model: dict, pretrained: str = "random") -> nn.Module:
    """Builds and initialises a detector, with plain BN in place of SyncBN as a runner has it in one process."""
    model = {**model, "init_cfg": {**model["init_cfg"], "checkpoint": pretrained}}
    with DefaultScope.overwrite_default_scope("mmdet"):
        torch.manual_seed(0)
        detector = MODELS.build(ConfigDict(model))
        detector.init_weights()
        return revert_sync_batchnorm(detector)


def write_voc(
    root: Path, year: int, split: str, objects: Sequence[tuple[str, int, tuple[int, ...]]]
) -> None:
    """Writes a VOC data set of two images, each with the same objects: class, difficult, and box."""
    base = root / f"VOC{year}"
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (base / folder).mkdir(parents=True, exist_ok=True)
    names = [f"{year}_{split}_{i}" for i in range(2)]
    for number, name in enumerate(names):
        image = np.full((96, 128, 3), 60 + 20 * number, dtype=np.uint8)
        for _, _, (x0, y0, x1, y1) in objects:
            image[y0 - 1 : y1, x0 - 1 : x1] = 220
        cv2.imwrite(str(base / f"JPEGImages/{name}.jpg"), image)
        described = "".join(
            VOC_OBJECT.format(name=kind, difficult=difficult, box=box)
            for kind, difficult, box in objects
        )
        (base / f"Annotations/{name}.xml").write_text(
            "<annotation><size><width>128</width><height>96</height><depth>3</depth></size>"
            f"{described}</annotation>"
        )
    (base / f"ImageSets/Main/{split}.txt").write_text("\n".join(names) + "\n")
