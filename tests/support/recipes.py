"""Recipes from configs/, made so small that a training step takes a moment."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.optim import OptimWrapper
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from support.clusters import samples
from support.methods_more import teacher, teacher_file
from torch import Tensor, nn

WIDTH = 4
DIM = 8
BATCH = 16
LAST = {512: 8 * WIDTH, 2048: 32 * WIDTH, 128: 8 * WIDTH}
THIRD = {256: 4 * WIDTH, 1024: 16 * WIDTH, 64: 4 * WIDTH}
CHANNELS = LAST | THIRD
"""Channels of the last map, and of the third stage's, by those of the recipe: ResNet-18 and 34, ResNet-50, the digits'
narrow ResNet-18."""
VIT = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 32}
PIXELS = {224: 32, 96: 48, 64: 32, 32: 16}
SMALLER: dict[str, Any] = {
    "hid_channels": 16,
    "out_channels": DIM,
    "feat_dim": DIM,
    "queue_len": 4 * BATCH,
    "w_size": BATCH,
    "num_images": 6 * BATCH,
    "num_clusters": 4,
    "groups": 2,
    "width_per_group": 2,
}


def with_options(cfg: Config, options: Sequence[str]) -> Config:
    """The config as --cfg-options would change it; options as a shell takes them, KEY=VALUE."""
    pairs = (option.split("=", 1) for option in shlex.split(" ".join(options)))
    changed = copy.deepcopy(cfg)
    changed.merge_from_dict({key: DictAction._parse_iterable(value) for key, value in pairs})
    return changed


def shrunk(cfg: Config) -> dict:
    """The config of a recipe's model, narrow, with small queues, and with no batch normalisation across devices."""
    model: dict = copy.deepcopy(cfg.model.to_dict())
    # A residual branch that starts at zero lets nothing below it move in the first step.
    narrow = {"stem_channels": WIDTH, "base_channels": WIDTH, "zero_init_residual": False}
    if "teacher" in model:
        model["teacher"] = teacher(checkpoint=teacher_file())
    if model["backbone"]["type"] == "VisionTransformer":
        model["backbone"] |= {"arch": VIT, "img_size": 32}
        model["neck"]["in_channels"] = VIT["embed_dims"]
    else:
        model["backbone"] |= narrow
    model["backbone"].pop("init_cfg", None)  # weights from the network
    if model.get("hard_negatives"):
        defaults = {"hardest": BATCH, "pairs": 4, "with_query": 2}
        model["hard_negatives"] = defaults | model["hard_negatives"]
    _walk(model)
    if "extra_sizes" in model:
        model["extra_sizes"] = tuple(PIXELS[size] for size in model["extra_sizes"])
    for head in ("head", "region_head"):
        predictor = model.get(head, {}).get("predictor")
        if predictor is not None:
            predictor["in_channels"] = DIM
    if "BarlowTwins" in model["type"]:
        model["head"]["in_channels"] = DIM
    if "SwAV" in model["type"]:
        model["head"]["loss"]["num_prototypes"] = 12
        model["neck"]["norm_cfg"] = {"type": "BN1d"}
    preprocessor = copy.deepcopy(cfg.data_preprocessor.to_dict())
    if "stride" in (preprocessor.get("mixer") or {}):
        preprocessor["mixer"]["stride"] = 4  # 8 cells of 32 pixels, 4 of 16
    return model | {"data_preprocessor": preprocessor}


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
    """A batch as the loader would give it, uint8: as many views as the pipeline makes, or labelled images."""
    steps = cfg.train_dataloader.dataset.pipeline
    (multi,) = [step for step in steps if step["type"] == "MultiView"] or [None]
    counts, kinds = ([1], [steps]) if multi is None else (multi["num_views"], multi["transforms"])
    counts = counts if isinstance(counts, (list, tuple)) else [counts]
    generator = torch.Generator().manual_seed(seed)
    views: list[Tensor] = []
    for count, kind in zip(counts, kinds, strict=True):
        shape = (BATCH, 3, *[small_side(kind)] * 2)
        views += [
            torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
            for _ in range(count)
        ]
    if multi is None:
        labelled = [DataSample().set_gt_label(label) for label in range(BATCH)]
        return {"inputs": views[0], "data_samples": labelled}
    return {"inputs": views, "data_samples": samples(range(BATCH))}


def small_side(steps: Sequence[Any]) -> int:
    """Pixels along a side of :func:`random_batch`'s images, by those that these transforms make."""
    return PIXELS.get(side(steps), 16)


def side(steps: Sequence[Any]) -> int:
    """Pixels along a side of the images that these transforms make; 0 where they don't say."""
    crops = [step for step in steps if "Crop" in step["type"]]
    return (crops[0].get("scale") or crops[0]["crop_size"]) if crops else 0


def optim_wrapper(cfg: Config, model: nn.Module) -> OptimWrapper:
    """The optimizer as a runner builds it; in full precision, as mmengine's wrapper refuses to be built on a CPU."""

    class Bare:
        optim_wrapper = None

    bare: Any = Bare()
    bare.model = model
    settings = copy.deepcopy(cfg.optim_wrapper)
    if settings.type == "AmpOptimWrapper":
        settings.type = "OptimWrapper"
        settings.pop("loss_scale", None)
    return Runner.build_optim_wrapper(bare, settings)


@contextmanager
def counted_units(model: Any, sides: dict[int, int]) -> Iterator[list[float]]:
    """Collects the compute of every pass through a backbone of the model, or one like it.

    Args:
        model: A method or a classifier.
        sides: Of images as the recipe has them, by the sides of those that are given; the first is that of view 0.

    Yields:
        A list that grows with each pass: 1 for one without gradient, 2 for one with a gradient of the pixels alone, 3
        for one that trains, times its pixels over those of view 0.
    """
    found: list[float] = []
    whole = BATCH * next(iter(sides.values())) ** 2

    def count(module: nn.Module, args: tuple) -> None:
        images = args[0]
        trains = any(parameter.requires_grad for parameter in module.parameters())
        cost = 1 if not torch.is_grad_enabled() else 3 if trains else 1 + images.requires_grad
        found.append(cost * len(images) * sides[images.shape[-1]] ** 2 / whole)

    like = [module for module in model.modules() if type(module) is type(model.backbone)]
    taught_by = getattr(model, "frozen_teacher", None)
    if taught_by is not None:
        like.append(taught_by.module[0])
    handles = [module.register_forward_pre_hook(count) for module in like]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
