"""Recipes from configs/, made so small that a training step takes a moment."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.config import Config
from support.clusters import samples
from torch import Tensor

WIDTH = 4
DIM = 8
BATCH = 16
LAST = {512: 8 * WIDTH, 2048: 32 * WIDTH, 128: 8 * WIDTH}
THIRD = {256: 4 * WIDTH, 1024: 16 * WIDTH, 64: 4 * WIDTH}
CHANNELS = LAST | THIRD
"""Channels of the last map, and of the third stage's, by those of the recipe: ResNet-18 and 34, ResNet-50, the digits'
narrow ResNet-18."""
PIXELS = {224: 32, 96: 48, 64: 32, 32: 16}
SMALLER: dict[str, Any] = {
    "hid_channels": 16,
    "out_channels": DIM,
    "feat_dim": DIM,
    "queue_len": 4 * BATCH,
    "w_size": BATCH,
    "num_images": 6 * BATCH,
    "num_clusters": 4,
}


def shrunk(cfg: Config) -> dict:
    """The config of a recipe's model, narrow, with small queues, and with no batch normalisation across devices."""
    model: dict = copy.deepcopy(cfg.model.to_dict())
    # A residual branch that starts at zero lets nothing below it move in the first step.
    narrow = {"stem_channels": WIDTH, "base_channels": WIDTH, "zero_init_residual": False}
    model["backbone"] |= narrow
    _walk(model)
    if "extra_sizes" in model:
        model["extra_sizes"] = tuple(PIXELS[size] for size in model["extra_sizes"])
    for head in ("head", "region_head"):
        predictor = model.get(head, {}).get("predictor")
        if predictor is not None:
            predictor["in_channels"] = DIM
    if "SwAV" in model["type"]:
        model["head"]["loss"]["num_prototypes"] = 12
        model["neck"]["norm_cfg"] = {"type": "BN1d"}
    return model | {"data_preprocessor": copy.deepcopy(cfg.data_preprocessor.to_dict())}


def _walk(node: dict) -> None:
    """Makes smaller what is large, in place."""
    for key, value in node.items():
        if isinstance(value, dict):
            _walk(value)
        elif key in SMALLER:
            node[key] = SMALLER[key]
        elif key == "in_channels":
            node[key] = CHANNELS.get(value, value)
        elif key == "type" and value == "SyncBN":
            node[key] = "BN"


def random_batch(cfg: Config, seed: int = 0) -> dict:
    """A batch as the loader would give it: as many views as the pipeline makes, each (16, 3, H, W), uint8."""
    (multi,) = (
        step for step in cfg.train_dataloader.dataset.pipeline if step["type"] == "MultiView"
    )
    counts = multi["num_views"]
    counts = counts if isinstance(counts, (list, tuple)) else [counts]
    generator = torch.Generator().manual_seed(seed)
    views: list[Tensor] = []
    for count, steps in zip(counts, multi["transforms"], strict=True):
        crops = [step["scale"] for step in steps if step["type"] == "RandomResizedCrop"]
        size = PIXELS[crops[0]] if crops else 16
        views += [
            torch.randint(0, 256, (BATCH, 3, size, size), generator=generator, dtype=torch.uint8)
            for _ in range(count)
        ]
    return {"inputs": views, "data_samples": samples(range(BATCH))}
