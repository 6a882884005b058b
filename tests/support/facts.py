"""What a recipe is once it is built, in the words of configs/*/paper.yml.

Views are described by the transform objects and pushed through them; learning rates are those of the schedulers,
stepped; weights and decays those of the optimizer's groups; all else is what the model that was built has.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import MODELS, PARAM_SCHEDULERS
from mmengine.runner import Runner, set_random_seed
from torch import nn

IMAGES, SIDE = 64, 96
"""Pushed through the views: enough to see what happens to one in ten."""
EPOCH_LENGTH = 10
"""Iterations of an epoch where a schedule by the epoch is carried out by the iteration: any number will do."""
STEMS = {2: "7x7 stem", 4: "3x3 stem and pooling", 8: "3x3 stem"}
"""By the side of the last map of 64 pixels."""


class Built:
    """A recipe, built as a runner builds it, part by part."""

    def __init__(self, cfg: Config) -> None:
        self.cfg = cfg

    @cached_property
    def model(self) -> Any:
        """Its initial weights not yet set, so that none are downloaded."""
        cfg = {**self.cfg.model, "data_preprocessor": self.cfg.data_preprocessor}
        return MODELS.build(copy.deepcopy(cfg)).train()

    @cached_property
    def wrapper(self) -> Any:
        """The optimizer in its wrapper, as the runner builds it."""

        class Bare:
            optim_wrapper = None

        bare: Any = Bare()
        bare.model = self.model
        return Runner.build_optim_wrapper(bare, copy.deepcopy(self.cfg.optim_wrapper))

    @property
    def groups(self) -> dict[str, dict[str, Any]]:
        """The optimizer's group of each trained parameter."""
        of = {id(p): group for group in self.wrapper.param_groups for p in group["params"]}
        trained = ((name, p) for name, p in self.model.named_parameters() if p.requires_grad)
        return {name: of[id(p)] for name, p in trained}

    @cached_property
    def views(self) -> list[tuple[int, list[Any]]]:
        """How many views there are of each kind, and the transforms that make it."""
        steps = Compose(list(self.cfg.train_dataloader.dataset.pipeline)).transforms
        kinds = [type(step).__name__ for step in steps]
        if "MultiView" not in kinds:
            skipped = ("LoadImageFromFile", "PackInputs")
            return [(1, [s for s, kind in zip(steps, kinds, strict=True) if kind not in skipped])]
        multi = steps[kinds.index("MultiView")]
        makers = [pipeline.transforms for pipeline in multi.pipelines]
        return list(zip(multi.num_views, makers, strict=True))


# -- views ------------------------------------------------------------------------------------------


def in_words(step: Any) -> str:
    """A transform object, as paper.yml says it."""
    name, prob = type(step).__name__, getattr(step, "prob", 1.0)
    if name == "RandomApply":
        said = " and ".join(in_words(inner) for inner in step.transforms.transforms)
    else:
        said = _WORDS[name](step)
    return said if prob == 1.0 else f"{said} at {prob:g}"


def _jitter(step: Any) -> str:
    strengths = [high - 1 for _, high in (step.brightness, step.contrast, step.saturation)]
    return "jitter " + " ".join(f"{strength:g}" for strength in [*strengths, step.hue[1]])


_WORDS: dict[str, Callable[[Any], str]] = {
    "RandomResizedCrop": lambda s: "crop {:g} to {:g}".format(*s.crop_ratio_range),
    "RandomCrop": lambda s: f"crop, padded by {s.padding} ({s.padding_mode})",
    "ColorJitter": _jitter,
    "RandomGrayscale": lambda s: "gray",
    "GaussianBlur": lambda s: "blur {:g} to {:g}".format(*s.magnitude_range),
    "RandomFlip": lambda s: "flip",
}


def pushed(steps: Sequence[Any]) -> tuple[set[tuple[int, ...]], dict[str, float]]:
    """Pushes images of noise through the transforms of a view.

    Returns:
        Shapes that came out, and the share of images that each transform changed, by its words.
    """
    set_random_seed(0)
    images = torch.randint(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=torch.uint8).numpy()
    shapes, changed = set(), dict.fromkeys((in_words(step) for step in steps), 0.0)
    for image in images:
        results: dict[str, Any] = {"img": image, "img_shape": image.shape[:2]}
        for step in steps:
            before = results["img"].copy()
            results = step(results)
            after = results["img"]
            if before.shape != after.shape or not np.array_equal(before, after):
                changed[in_words(step)] += 1 / IMAGES
                if in_words(step).startswith("gray"):
                    assert np.ptp(after, axis=2).max() == 0, "the channels differ"
        shapes.add(results["img"].shape)
    return shapes, changed


# -- learning rates ---------------------------------------------------------------------------------


def learning_rates(cfg: Config, epochs: int) -> list[float]:
    """The learning rate at the start of each epoch; a warm-up that counts iterations ends with the first."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    found = [_scheduler(dict(part), optimizer) for part in cfg.param_scheduler]
    rates = []
    for epoch in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()  # or torch warns of the order
        for scheduler, first, later in found:
            for _ in range(later if epoch else first):
                scheduler.step()
    return rates


def _scheduler(part: dict[str, Any], optimizer: torch.optim.Optimizer) -> tuple[Any, int, int]:
    """A scheduler, and its steps in the first epoch and in each later one."""
    part.pop("_scope_", None)
    kind = PARAM_SCHEDULERS.get(part.pop("type"))
    if part.pop("convert_to_iter_based", False):
        built = kind.build_iter_from_epoch(optimizer, epoch_length=EPOCH_LENGTH, **part)
        return built, EPOCH_LENGTH, EPOCH_LENGTH
    built = kind(optimizer, **part)
    return (built, 1, 1) if built.by_epoch else (built, part["end"], 0)


def expected_rate(schedule: Mapping[str, Any], lr: float, epoch: int) -> float:
    """What a schedule of paper.yml says of an epoch; of one after its warm-up."""
    if "cosine" in schedule:
        low = schedule.get("minimum", 0.0)
        done = max(epoch - schedule.get("begin", 0), 0) / schedule["cosine"]
        return low + (lr - low) * (1 + math.cos(math.pi * done)) / 2
    return lr * schedule["factor"] ** sum(step <= epoch for step in schedule["steps"])


def telling_epochs(schedule: Mapping[str, Any], epochs: int) -> list[int]:
    """Three epochs by which a schedule is told apart: the middle of a cosine, either side of a step, the last."""
    if "cosine" in schedule:
        return [schedule.get("begin", 0), epochs // 2, epochs - 1]
    return [schedule["steps"][0] - 1, schedule["steps"][0], epochs - 1]


# -- the model ---------------------------------------------------------------------------------------


def _backbone(built: Built) -> str:
    backbone = built.model.backbone
    with torch.no_grad():
        side = backbone(torch.zeros(8, 3, 64, 64))[-1].shape[-1]
    family = "ResNeXt" if "ResNeXt" in type(backbone).__name__ else "ResNet"
    if family == "ResNeXt":
        assert (backbone.groups, backbone.width_per_group) == (32, 4)
    return f"{family}-{backbone.depth}, {STEMS[side]}"


def _norm(built: Built) -> str:
    names = {"BatchNorm2d": "BN", "SyncBatchNorm": "SyncBN"}
    kinds = {
        f"SplitBN {module.num_splits}" if kind == "SplitBN" else names[kind]
        for module in built.model.backbone.modules()
        if (kind := type(module).__name__) == "SplitBN" or kind in names
    }
    return " and ".join(sorted(kinds))


def _widths(module: nn.Module) -> list[int]:
    """Of the layers of a perceptron, its input first."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def _momentum(built: Built) -> float | list[float]:
    """Weight of the old value in the momentum encoder; its start and end where it moves along a cosine."""
    model = built.model
    encoders = (
        getattr(model, name, None) for name in ("encoder_k", "target_net", "momentum_encoder")
    )
    encoder = next(found for found in encoders if found is not None)
    start, end = 1 - float(encoder.momentum), getattr(encoder, "end_momentum", None)
    return round(start, 9) if end is None else [round(start, 9), round(1 - end, 9)]


def _same(part: Any, expected: Mapping[str, Any]) -> dict[str, Any]:
    """What an object has of what is expected of it, by name."""
    found: dict[str, Any] = {}
    for name, value in expected.items():
        if name == "type":
            found[name] = type(part).__name__
        elif isinstance(value, Mapping):
            found[name] = _same(getattr(part, name), value)
        else:
            given = getattr(part, name)
            found[name] = list(given) if isinstance(given, tuple) else given
    return found


def _optimizer(built: Built, expected: Mapping[str, Any]) -> dict[str, Any]:
    optimizer = built.wrapper.optimizer
    plain = {name: optimizer.defaults[name] for name in expected if name != "type"}
    return {"type": type(optimizer).__name__, **plain}


def _mixer(built: Built) -> Any:
    """The mixer: of a classifier its own, else the data preprocessor's."""
    return built.model.mixer


CHECKS: dict[str, Callable[[Built, Any], Any]] = {
    "method": lambda b, _: type(b.model).__name__,
    "symmetric": lambda b, _: b.model.symmetric,
    "epochs": lambda b, _: b.cfg.train_cfg.max_epochs,
    "optimizer": _optimizer,
    "temperature": lambda b, _: b.model.head.temperature,
    "momentum": lambda b, _: _momentum(b),
    "queue": lambda b, _: b.model.queue.shape[1],
    "backbone": lambda b, _: _backbone(b),
    "norm": lambda b, _: _norm(b),
    "projector": lambda b, _: _widths(b.model.neck),
    "predictor": lambda b, _: _widths(b.model.head.predictor),
    "prototypes": lambda b, _: _widths(b.model.head)[-1],
    "classes": lambda b, _: b.model.head.num_classes,
    "whitening": lambda b, e: _same(b.model, e),
    "joint_bn": lambda b, _: b.model.joint_bn,
    "clusters": lambda b, e: _same(b.model.clusters, e),
    "mixture": lambda b, e: _same(_mixer(b), e),
    "mix_head": lambda b, e: _same(b.model.mix_head, e),
    "mix_block": lambda b, e: _same(b.model.mix_block, e),
    "weights": lambda b, _: b.cfg.model.backbone.init_cfg.checkpoint,
    "augmentations": lambda b, _: [[in_words(step) for step in steps] for _, steps in b.views],
}
"""What each fact is held to, from the recipe and what is expected of it; those not here have a test of their own."""
OF_THEIR_OWN = {
    *("data", "images", "batch", "devices", "views", "judged", "frozen"),
    *("lr", "weight_decay", "schedule", "exceptions"),
}
