"""Classifiers small enough for a test, and labelled batches for them."""

from __future__ import annotations

from typing import Any

import torch
from mmpretrain.structures import DataSample
from support.tiny import WIDTH, backbone, views
from torch import Tensor

CLASSES = 5
BLOCK = {"type": "mixssl.MixBlockPlus", "in_channels": 4 * WIDTH, "adjust": False, "dropout": 0.0}


def plain(**changes: Any) -> dict:
    """Config of mmpretrain's image classifier."""
    return {
        "type": "mmpretrain.ImageClassifier",
        "backbone": backbone(),
        "neck": {"type": "mmpretrain.GlobalAveragePooling"},
        "head": {
            "type": "mmpretrain.LinearClsHead",
            "num_classes": CLASSES,
            "in_channels": 8 * WIDTH,
        },
        "data_preprocessor": {"type": "mmpretrain.ClsDataPreprocessor"},
    } | changes


def amix(**changes: Any) -> dict:
    """Config of the same with AMix, its draws from seed 0."""
    return plain(type="mixssl.AMixClassifier", mix_block=dict(BLOCK), seed=0) | changes


def labelled(
    batch: int = 8, size: int = 16, seed: int = 0, scores: Tensor | None = None
) -> dict[str, Any]:
    """Random images with the labels 0, 1, ..., or with scores, as a data preprocessor hands them on."""
    samples = [DataSample().set_gt_label(i % CLASSES) for i in range(batch)]
    if scores is not None:
        samples = [
            sample.set_gt_score(score) for sample, score in zip(samples, scores, strict=True)
        ]
    return {"inputs": views(batch, size, seed, count=1)[0], "data_samples": samples}


def targets(batch: int = 8) -> Tensor:
    """The labels of :func:`labelled`."""
    return torch.arange(batch) % CLASSES
