"""Weights of others to start from: read without running code, renamed, fitted, and every tensor accounted for."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from mixssl.transfer.architecture import describe
from mixssl.transfer.extraction import find_backbone
from mixssl.transfer.vit_names import from_others
from mixssl.utils.checkpoints import read_checkpoint, torch_bytes
from mixssl.utils.errors import ConfigError

TEACHERS = {"mixssl.MixBYOL": "target_net.module.0.", "mixssl.MixMoCo": "encoder_k.module.0."}
"""Where methods keep their momentum copy of the backbone."""
COUNTER = "num_batches_tracked"


def read_weights(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], list[str]]:
    """A backbone by mmpretrain's names, and the names of tensors that are not the backbone's.

    Args:
        path: A .safetensors, or a checkpoint of torch, from which nothing but tensors and plain values is read; or a
            folder with ``model.safetensors``, as Hugging Face and our ``backbone/`` have it.

    Raises:
        ConfigError: There is no such file, or no weights in it.
    """
    place = Path(path)
    if place.is_dir():
        place = place / "model.safetensors"
    if not place.is_file():
        raise ConfigError(f"there are no weights at {str(place)!r}: name a file on this machine")
    if place.suffix == ".safetensors":
        try:
            state = load_file(place)
        except (SafetensorError, OSError) as error:
            raise ConfigError(f"{str(place)!r} is no whole safetensors file: {error}") from error
        return from_others(state)
    checkpoint = read_checkpoint(place)
    if any(name.startswith(("backbone.", "encoder_q.")) for name in checkpoint.state):
        places = find_backbone(checkpoint)
        body = {own: checkpoint.state[name] for own, name in places.items()}
        return body, [name for name in checkpoint.state if name not in places.values()]
    return from_others(checkpoint.state)


def what_it_is(state: Mapping[str, Tensor]) -> tuple[str, str]:
    """Name of a backbone and of its stem, as ``mixssl pretrain`` has them, told from its tensors.

    Raises:
        ConfigError: It is none of those.
    """
    widths = {192: "vit_tiny", 384: "vit_small", 768: "vit_base"}
    if "cls_token" in state and state["cls_token"].shape[-1] in widths:
        return widths[state["cls_token"].shape[-1]], "patches"
    shape = describe(state)
    if shape.depth is None or shape.width != 64 or "conv1.weight" not in state:
        raise ConfigError(
            f"the weights to start from are of a ResNet with {shape.stem}, {shape.width} base channels and blocks "
            f"{shape.blocks}: take a plain one, or a ViT tiny, small or base"
        )
    return f"resnet{shape.depth}", "7x7" if state["conv1.weight"].shape[-1] == 7 else "3x3"


def fit_channels(weight: Tensor, channels: int) -> Tensor:
    """Fits the first convolution to another number of channels, as timm does.

    Args:
        weight: (O, 3, k, k).
        channels: Wanted.

    Returns:
        (O, channels, k, k): the sum over the colours for one channel; else the colours repeated and scaled by
        3 / channels, so that equal channels give what a gray image gave.
    """
    found = weight.shape[1]
    if channels == found:
        return weight
    if channels == 1:
        return weight.float().sum(1, keepdim=True).to(weight.dtype)
    repeated = weight.repeat(1, -(-channels // found), 1, 1)[:, :channels]
    return repeated * (found / channels)


def start_of(path: str | os.PathLike[str], cfg: Config) -> tuple[bytes, list[str]]:
    """Weights as the checkpoint that a config's run loads.

    Args:
        path: As :func:`read_weights` takes it.
        cfg: Of the run; its backbone is what they must fit.

    Returns:
        The file's content, and lines that account for every tensor.

    Raises:
        ConfigError: They don't fit.
    """
    found, heads = read_weights(path)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        backbone: Any = MODELS.build(cfg.model.backbone)
    wanted = backbone.state_dict()
    lines = []
    for stem in ("conv1.weight", "patch_embed.projection.weight"):
        if stem in found and stem in wanted and found[stem].shape[1] != wanted[stem].shape[1]:
            channels = wanted[stem].shape[1]
            lines.append(f"{stem}: {found[stem].shape[1]} channels fitted to {channels}")
            found[stem] = fit_channels(found[stem], channels)
    missing = [name for name in wanted if name not in found and not name.endswith(COUNTER)]
    unexpected = [name for name in found if name not in wanted]
    resized = ("pos_embed",)  # mmpretrain's ViT resamples it when it is loaded
    shapes = [
        f"{name} {tuple(found[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in found and name not in resized and found[name].shape != wanted[name].shape
    ]
    if missing or unexpected or shapes:
        raise ConfigError(
            f"{os.fspath(path)!r} does not fit the backbone: missing {missing[:2]}, unexpected {unexpected[:2]}, of "
            f"another shape {shapes[:2]}; leave --backbone and --stem to be chosen by the weights"
        )
    backbone.load_state_dict(found, strict=False)
    body = backbone.state_dict()
    state = {f"backbone.{name}": value for name, value in body.items()}
    teacher = TEACHERS.get(cfg.model.type)
    if teacher:
        state |= {f"{teacher}{name}": value.clone() for name, value in body.items()}
    lines.append(
        f"starts from {os.fspath(path)}: {len(found)} of {len(wanted)} tensors of the backbone, missing 0, unexpected "
        f"0; not of the backbone: {len(heads)}"
    )
    return torch_bytes({"meta": {}, "state_dict": state}), lines
