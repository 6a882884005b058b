"""Clusters small enough for a test, and a start for them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from mmpretrain.structures import DataSample
from support.tiny import DIM

IMAGES, CLUSTERS = 48, 4


def clusters(**changes: Any) -> dict:
    """Config of a memory that needs no mixture."""
    settings = {"num_images": IMAGES, "feat_dim": DIM, "num_clusters": CLUSTERS, "min_size": 2}
    settings |= {"alone": True}
    return {"type": "mixssl.ODC", "seed": 0} | settings | changes


def samples(places: Iterable[int]) -> list[DataSample]:
    """What a pipeline packs of the images at these places of the data set."""
    return [DataSample(metainfo={"sample_idx": place}) for place in places]


def start(model: Any, seed: int = 0) -> None:
    """Fills a model's memory with random features, their clusters in turns; a model without has nothing to fill."""
    if getattr(model, "clusters", None) is None:
        return
    memory = model.clusters
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(memory.features.shape, generator=generator)
    memory.start(features, torch.arange(len(features)) % memory.num_clusters)
