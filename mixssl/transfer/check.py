"""Checks that a pre-trained backbone is in a detector: the same image gives the same features in both."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from mixssl.models.detection import backbone_places
from mixssl.transfer.architecture import describe
from mixssl.transfer.extraction import find_backbone
from mixssl.utils.checkpoints import Checkpoint
from mixssl.utils.detection import require_detection
from mixssl.utils.errors import ConfigError

TOLERANCE = 1e-5
"""Largest difference between two features, as a part of the largest feature or of one."""
SIZE = (96, 128)
"""Height and width of the image, multiples of 32 so that nothing is padded."""


def build_detector(config: str | os.PathLike[str], pretrained: str = "random") -> nn.Module:
    """Builds a config's detector as training would, on the CPU.

    Args:
        config: File of a config of mmdet's kind.
        pretrained: What its backbone starts from: a file, or "random".

    Raises:
        ConfigError: Detection can't run here, there is no such config, it has no model with a backbone, or the file
            does not fit it.
    """
    require_detection()
    if not os.path.isfile(config):
        raise ConfigError(f"there is no config file {os.fspath(config)!r}: name an existing one")
    cfg = Config.fromfile(config)
    model = cfg.get("model")
    if not isinstance(model, Mapping) or "backbone" not in model:
        raise ConfigError(
            f"{os.fspath(config)} has no model with a backbone: name a detector's config"
        )
    model = dict(model)
    model["backbone"] = {**model["backbone"], "init_cfg": None}
    model["init_cfg"] = {"type": "mixssl.PretrainedBackbone", "checkpoint": os.fspath(pretrained)}
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("ERROR")  # it lists every tensor
    try:
        with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmdet")):
            detector = MODELS.build(model)
            detector.init_weights()
    finally:
        logger.setLevel(level)
    return detector


def detector_tensors(config: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Tensors of the backbone in a config's detector, by torchvision's names, wherever the detector holds them.

    Raises:
        ConfigError: As :func:`build_detector`.
    """
    detector = build_detector(config)
    state = detector.state_dict()
    return {name: state[place] for name, place in backbone_places(detector).items()}


def pretraining_backbone(checkpoint: Checkpoint, encoder: str = "online") -> nn.Module:
    """Builds the backbone of a checkpoint as pre-training had it, with all four stages as outputs.

    Its config in the checkpoint decides; without one it is mmpretrain's ResNet of that depth.

    Raises:
        ConfigError: The checkpoint has no such backbone.
    """
    places = find_backbone(checkpoint, encoder)
    state = {own: checkpoint.state[name] for own, name in places.items()}
    cfg = (checkpoint.settings.get("model") or {}).get("backbone")
    if not cfg:
        shape = describe(state)
        widths = {"stem_channels": shape.width, "base_channels": shape.width}
        cfg = {"type": "ResNet", "depth": shape.depth, **widths}
    cfg = {**cfg, "out_indices": (0, 1, 2, 3), "frozen_stages": -1, "init_cfg": None}
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        backbone = MODELS.build(cfg)
    backbone.load_state_dict(state)
    backbone = revert_sync_batchnorm(backbone)
    backbone.eval()  # a ResNet's returns nothing
    return backbone


def check_transfer(
    checkpoint: Checkpoint,
    encoder: str,
    config: str | os.PathLike[str],
    extracted: str | os.PathLike[str],
) -> list[str]:
    """Sends an image through pre-training's normalisation and backbone, and through the detector's.

    Args:
        checkpoint: The pre-training checkpoint.
        encoder: Which backbone of it was extracted.
        config: The detector's config.
        extracted: The backbone's file, from which the detector starts as it would in training.

    Returns:
        A line for each thing that was compared.

    Raises:
        ConfigError: Something differs by more than :data:`TOLERANCE`; stages are named as in detection, res2 to res5.
    """
    reference = pretraining_backbone(checkpoint, encoder)
    detector = revert_sync_batchnorm(build_detector(config, os.fspath(extracted)))
    detector.eval()
    image = torch.randint(256, (3, *SIZE), generator=torch.Generator().manual_seed(0)).byte()
    lines = [
        "normalisation: the checkpoint does not say what pre-training used; see that mean, std and RGB agree"
    ]
    with torch.no_grad():
        batch = {"inputs": [image], "data_samples": None}
        seen = detector.data_preprocessor(batch, False)["inputs"]
        if checkpoint.pixels is not None:
            mean, std = (
                torch.tensor(checkpoint.pixels[key]).view(-1, 1, 1) for key in ("mean", "std")
            )
            ordered = image.flip(0) if checkpoint.pixels["to_rgb"] else image
            lines = [_compare("normalisation", ((ordered.float() - mean) / std)[None], seen)]
        there = _detector_features(detector, seen)
        here = dict(zip(("res2", "res3", "res4", "res5"), reference(seen), strict=True))
    return lines + [_compare(name, here[name], there[name]) for name in there]


def _detector_features(detector: Any, image: Tensor) -> dict[str, Tensor]:
    """Maps of the stages that a detector has; a C4 detector's last one is applied to the whole image here."""
    maps = detector.backbone(image)
    found = {f"res{i + 2}": x for i, x in zip(detector.backbone.out_indices, maps, strict=True)}
    head = getattr(getattr(detector, "roi_head", None), "shared_head", None)
    if head is not None and hasattr(head, "layer4") and "res4" in found:
        found["res5"] = head.layer4(found["res4"])
    return found


def _compare(name: str, here: Tensor, there: Tensor) -> str:
    """Compares what pre-training makes of an image with what the detector does, in one line."""
    shape = "x".join(map(str, there.shape[1:]))
    if here.shape != there.shape:
        raise ConfigError(
            f"{name} is {shape} in the detector and {'x'.join(map(str, here.shape[1:]))} in pre-training: their "
            "strides differ; take a config with the pre-training's ResNet"
        )
    # As a part of the largest value, or of one where all are smaller.
    distance = float((here - there).abs().max() / here.abs().max().clamp(min=1))
    if not distance <= TOLERANCE:
        raise ConfigError(
            f"{name} differs by {distance:.1e} between pre-training and detector, and {TOLERANCE:.0e} is allowed: "
            "compare the config's model.data_preprocessor and its backbone's style, 'pytorch' or 'caffe', with "
            "pre-training's"
        )
    return f"{name}: the same, {shape}, largest difference {distance:.1e}"
