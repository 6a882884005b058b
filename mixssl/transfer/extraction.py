"""Takes the backbone out of a checkpoint, all of it or nothing, and writes it as others read it.

mmpretrain, mmdet, torchvision and timm agree on the names of plain ResNets; a C4 detector only holds ``layer4``
elsewhere. Detectron2 has names of its own.
"""

import hashlib
import pickle
import re
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from torch import Tensor

from mixssl.transfer.architecture import describe
from mixssl.utils.checkpoints import COUNTER, Checkpoint, mismatch, places_of_backbone, torch_bytes
from mixssl.utils.errors import ConfigError
from mixssl.version import __version__

LAYOUTS = ("mmdet", "torchvision", "timm", "detectron2")
DETECTOR = ("rpn_head.", "roi_head.", "bbox_head.", "mask_head.", "rpn.", "proposal_generator.")
DETECTRON2 = (
    (r"^conv1\.", "stem.conv1."),
    (r"^bn1\.", "stem.conv1.norm."),
    (r"\.downsample\.0\.", ".shortcut."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
    (r"\.bn(\d)\.", r".conv\1.norm."),
)

Value = TypeVar("Value")


class Extraction(NamedTuple):
    """A backbone by torchvision's names, and what became of everything in the checkpoint.

    ``missing`` names counters of batches that old checkpoints lack and that nothing needs; ``left_out`` counts, by the
    first part of their names, tensors that are not the backbone's.
    """

    state: dict[str, Tensor]
    missing: list[str]
    left_out: dict[str, int]
    encoder: str

    def report(self) -> str:
        """A line that accounts for every tensor."""
        left_out = ", ".join(f"{name} {count}" for name, count in self.left_out.items()) or "none"
        counters = f" ({COUNTER} only)" if self.missing else ""
        loaded, missing = len(self.state), len(self.missing)
        return (
            f"loaded {loaded} of {loaded + missing} tensors of the {self.encoder} backbone; "
            f"missing {missing}{counters}; unexpected 0; not of the backbone: {left_out}"
        )


def find_backbone(checkpoint: Checkpoint, encoder: str = "online") -> dict[str, str]:
    """Finds a backbone's tensors.

    Args:
        checkpoint: What was read.
        encoder: As in :func:`mixssl.utils.checkpoints.places_of_backbone`.

    Returns:
        Their names as the backbone has them, each with its name in the checkpoint.

    Raises:
        ConfigError: A detector's checkpoint, or one without such an encoder.
    """
    if any(name.startswith(DETECTOR) for name in checkpoint.state):
        raise ConfigError(
            f"{str(checkpoint.path)!r} is a detector's checkpoint, not one of pre-training: name the one that the "
            "detector started from"
        )
    places = places_of_backbone(checkpoint.state, encoder)
    if not places:
        there = ", ".join(sorted({name.partition(".")[0] for name in checkpoint.state})[:6])
        other = "a method with a momentum encoder" if encoder == "momentum" else "pre-training"
        raise ConfigError(
            f"{str(checkpoint.path)!r} has no {encoder} backbone, only {there}: name a checkpoint of {other}"
        )
    return places


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
    places = find_backbone(checkpoint, encoder)
    found = {own: checkpoint.state[name] for own, name in places.items()}
    name = repr(str(checkpoint.path))
    try:
        difference = describe(found).difference(describe(wanted))
    except ConfigError as error:
        raise ConfigError(f"{name}: {error}") from error
    if difference:
        raise ConfigError(
            f"{name} holds another backbone than the target's: {difference}; choose the target that was pre-trained"
        )
    wrong = mismatch(wanted, found, counters=False)
    if wrong:
        raise ConfigError(f"{name} does not fit the target's backbone: {wrong}")
    broken = [key for key, value in found.items() if not value.isfinite().all()]
    if broken:
        raise ConfigError(f"{name}: {broken[0]} holds NaN or infinity: take an earlier checkpoint")
    return Extraction(
        state={key: found[key].detach().clone().contiguous() for key in wanted if key in found},
        missing=sorted(wanted.keys() - found.keys()),
        left_out=Counter(
            key.partition(".")[0] for key in checkpoint.state if key not in places.values()
        ),
        encoder=encoder,
    )


def to_detectron2(state: Mapping[str, Value]) -> dict[str, Value]:
    """Renames a ResNet's tensors for Detectron2.

    Stages are ``res2`` to ``res5`` there, a norm belongs to its convolution, a projection is a ``shortcut``. The
    detector needs ``MODEL.RESNETS.STRIDE_IN_1X1 False`` and the pre-training's PIXEL_MEAN, PIXEL_STD and FORMAT.

    Args:
        state: By torchvision's names, without classifier.

    Returns:
        The same values by Detectron2's names, without the counters of batches.
    """
    renamed = {}
    for name, value in state.items():
        if name.endswith(COUNTER):
            continue
        for pattern, replacement in DETECTRON2:
            name = re.sub(pattern, replacement, name)
        name = re.sub(r"^layer(\d)\.", lambda stage: f"res{int(stage[1]) + 1}.", name)
        renamed[name] = value
    return renamed


def file_content(extraction: Extraction, checkpoint: Checkpoint, layout: str) -> bytes:
    """Renders a backbone as a file, the same bytes for the same checkpoint.

    Args:
        extraction: The backbone.
        checkpoint: Its origin, which is noted under ``meta``.
        layout: One of :data:`LAYOUTS`. Detectron2's is its pickle of arrays, the others are
            ``dict(meta=..., state_dict=...)`` of torch.save.
    """
    meta = {
        "source": checkpoint.path.name,
        "source_sha256": checkpoint.sha256,
        "encoder": extraction.encoder,
        "layout": layout,
        "epoch": checkpoint.meta.get("epoch"),
        "iter": checkpoint.meta.get("iter"),
        "pixels": checkpoint.pixels,
        "config": checkpoint.meta.get("cfg"),
        "mixssl_version": __version__,
    }
    if layout == "detectron2":
        arrays = {key: value.numpy() for key, value in to_detectron2(extraction.state).items()}
        content = {"model": arrays, "__author__": "mixssl", "matching_heuristics": True}
        return pickle.dumps({**content, "meta": meta}, protocol=4)
    return torch_bytes({"meta": meta, "state_dict": extraction.state})


def file_name(checkpoint: Checkpoint, layout: str, encoder: str, content: bytes) -> str:
    """Names a backbone's file: ``<checkpoint>_backbone_<layout>-<first 8 digits of its SHA-256>.pth``, or ``.pkl``."""
    averaged = "" if encoder == "online" else f"_{encoder}"
    digits = hashlib.sha256(content).hexdigest()[:8]
    ending = "pkl" if layout == "detectron2" else "pth"
    return f"{checkpoint.path.stem}{averaged}_backbone_{layout}-{digits}.{ending}"
