"""Takes the backbone out of a checkpoint, all of it or nothing, and writes it as others read it."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mixssl.transfer.architecture import describe
from mixssl.transfer.names import COUNTER, LAYOUTS, to_detectron2
from mixssl.utils.checkpoints import Checkpoint
from mixssl.utils.errors import ConfigError
from mixssl.utils.weights import mismatch
from mixssl.version import __version__

__all__ = [
    "ENCODERS",
    "Extraction",
    "extract",
    "file_content",
    "file_name",
    "find_backbone",
    "pixels_of",
]

ENCODERS = {
    "online": ("backbone.", "encoder_q."),
    "momentum": (
        "encoder_k.module.0.",
        "target_net.module.0.",
        "momentum_encoder.module.0.",
        "encoder_k.",
    ),
}
"""What stands before the backbone's names, in our and mmpretrain's methods and in those of MoCo's authors."""
DETECTOR = ("rpn_head.", "roi_head.", "bbox_head.", "mask_head.", "rpn.", "proposal_generator.")
HEADS = ("fc.", "head.", "neck.", "classifier.")
"""What may follow a backbone that has no prefix."""


class Extraction(NamedTuple):
    """A backbone by torchvision's names, and what became of everything in the checkpoint.

    ``loaded`` counts the tensors that the target has too; ``missing`` names counters of batches that old checkpoints
    lack and that nothing needs; ``left_out`` counts, by the first part of their names, tensors that are not the
    backbone's.
    """

    state: dict[str, Tensor]
    loaded: int
    missing: list[str]
    left_out: dict[str, int]
    encoder: str

    def report(self) -> str:
        """A line that accounts for every tensor."""
        left_out = ", ".join(f"{name} {count}" for name, count in self.left_out.items()) or "none"
        counters = f" ({COUNTER} only)" if self.missing else ""
        return (
            f"loaded {self.loaded} of {self.loaded + len(self.missing)} tensors of the {self.encoder} backbone; "
            f"missing {len(self.missing)}{counters}; unexpected 0; not of the backbone: {left_out}"
        )


def find_backbone(checkpoint: Checkpoint, encoder: str = "online") -> tuple[dict[str, Tensor], str]:
    """Finds a backbone's tensors.

    Args:
        checkpoint: What was read.
        encoder: "online", or "momentum" for the averaged encoder of MoCo, BYOL and their kin.

    Returns:
        The tensors without their prefix, and the prefix, which is empty for a bare backbone or classifier.

    Raises:
        ConfigError: A detector's checkpoint, or one without such an encoder.
    """
    state = {name.removeprefix("module."): value for name, value in checkpoint.state.items()}
    if any(name.startswith(DETECTOR) for name in state):
        raise ConfigError(
            f"{str(checkpoint.path)!r} is a detector's checkpoint, not one of pre-training: name the one that the "
            "detector started from"
        )
    for prefix in ENCODERS[encoder]:
        found = {
            name.removeprefix(prefix): value
            for name, value in state.items()
            if name.startswith(prefix) and not name.startswith(f"{prefix}fc.")
        }
        if found:
            return found, prefix
    bare = {name: value for name, value in state.items() if not name.startswith(HEADS)}
    if encoder == "online" and any(name.startswith(("conv1.", "stem.")) for name in bare):
        return bare, ""
    there = ", ".join(sorted({name.partition(".")[0] for name in state})[:6])
    other = "a method with a momentum encoder" if encoder == "momentum" else "pre-training"
    raise ConfigError(
        f"{str(checkpoint.path)!r} has no {encoder} backbone, only {there}: name a checkpoint of {other}"
    )


def extract(
    checkpoint: Checkpoint, wanted: Mapping[str, Tensor], encoder: str = "online"
) -> Extraction:
    """Takes a backbone out of a checkpoint for a network whose tensors are known.

    Args:
        checkpoint: What was read.
        wanted: The target's tensors by torchvision's names; only names and shapes count.
        encoder: As in :func:`find_backbone`.

    Raises:
        ConfigError: Stem, depth or width differ, tensors are missing, too many, or of another shape, or are not
            finite: one line that names the difference.
    """
    found, prefix = find_backbone(checkpoint, encoder)
    name = repr(str(checkpoint.path))
    try:
        difference = describe(found).difference(describe(wanted))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    if difference:
        raise ConfigError(
            f"{name} holds another backbone than the target's: {difference}; choose the target that was pre-trained"
        )
    missing = sorted(set(wanted) - set(found))
    needed = {key: wanted[key] for key in wanted if key in found or not key.endswith(COUNTER)}
    wrong = mismatch(needed, found)
    if wrong:
        raise ConfigError(f"{name} does not fit the target's backbone: {wrong}")
    broken = [key for key, value in found.items() if not value.isfinite().all()]
    if broken:
        raise ConfigError(f"{name}: {broken[0]} holds NaN or infinity: take an earlier checkpoint")
    state = {key: found[key].detach().clone().contiguous() for key in wanted if key in found}
    return Extraction(
        state, len(state), missing, _left_out(checkpoint, prefix, len(state)), encoder
    )


def _left_out(checkpoint: Checkpoint, prefix: str, taken: int) -> dict[str, int]:
    """Counts, by the first part of their names, the tensors that stay behind."""
    counts: dict[str, int] = {}
    for name in checkpoint.state:
        name = name.removeprefix("module.")
        taken_along = name.startswith(prefix) if prefix else not name.startswith(HEADS)
        if not taken_along or name.startswith(f"{prefix}fc."):
            part = name.partition(".")[0]
            counts[part] = counts.get(part, 0) + 1
    return counts


def pixels_of(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """What the backbone was trained on: pixels from 0 to 255, less ``mean``, over ``std``, RGB if ``to_rgb``, else BGR.

    Returns:
        The three by name; None if the checkpoint does not say.
    """
    settings = checkpoint.settings
    noted = (
        settings.get("data_preprocessor")
        or (settings.get("model") or {}).get("data_preprocessor")
        or {}
    )
    if noted.get("mean") is None or noted.get("std") is None:
        return None
    return {
        "mean": [float(value) for value in noted["mean"]],
        "std": [float(value) for value in noted["std"]],
        "to_rgb": bool(noted.get("to_rgb")),
    }


def file_content(extraction: Extraction, checkpoint: Checkpoint, layout: str) -> bytes:
    """Renders a backbone as a file, the same bytes for the same checkpoint.

    Args:
        extraction: The backbone.
        checkpoint: Its origin, which is noted under ``meta``.
        layout: One of :data:`~mixssl.transfer.names.LAYOUTS`. Detectron2's is its pickle of arrays, the others are
            ``dict(meta=..., state_dict=...)`` of torch.save.

    Raises:
        ValueError: Another layout.
    """
    if layout not in LAYOUTS:
        raise ValueError(f"layout is {layout!r}, and there are {', '.join(LAYOUTS)}")
    meta = {
        "source": checkpoint.path.name,
        "source_sha256": checkpoint.sha256,
        "encoder": extraction.encoder,
        "layout": layout,
        "epoch": checkpoint.meta.get("epoch"),
        "iter": checkpoint.meta.get("iter"),
        "pixels": pixels_of(checkpoint),
        "config": checkpoint.meta.get("cfg"),
        "mixssl_version": __version__,
    }
    if layout == "detectron2":
        arrays = {key: value.numpy() for key, value in to_detectron2(extraction.state).items()}
        content: dict[str, Any] = {
            "model": arrays,
            "__author__": "mixssl",
            "matching_heuristics": True,
            "meta": meta,
        }
        return pickle.dumps(content, protocol=4)
    buffer = io.BytesIO()
    torch.save({"meta": meta, "state_dict": extraction.state}, buffer)
    return buffer.getvalue()


def file_name(checkpoint: Checkpoint, layout: str, encoder: str, content: bytes) -> str:
    """Names a backbone's file: ``<checkpoint>_backbone_<layout>-<first 8 digits of its SHA-256>.pth``, or ``.pkl``."""
    averaged = "" if encoder == "online" else f"_{encoder}"
    digits = hashlib.sha256(content).hexdigest()[:8]
    ending = "pkl" if layout == "detectron2" else "pth"
    return f"{checkpoint.path.stem}{averaged}_backbone_{layout}-{digits}.{ending}"
