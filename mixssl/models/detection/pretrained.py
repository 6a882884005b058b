"""A pre-trained backbone in a detector: every tensor arrives, or nothing starts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from mmengine.model.weight_init import update_init_info
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor, nn

from mixssl.registry import WEIGHT_INITIALIZERS
from mixssl.utils.errors import ConfigError
from mixssl.utils.weights import mismatch, part_of, state_dict_of

__all__ = ["PretrainedBackbone", "backbone_places", "read_backbone"]

RANDOM = "random"
"""In place of a file: a start from random weights, asked for by name so that it never happens by mistake."""
PARTS = ("backbone.", "roi_head.shared_head.")
"""Where a detector may hold a backbone's tensors. A C4 detector applies the last stage to regions."""
COUNTER = "num_batches_tracked"


@WEIGHT_INITIALIZERS.register_module()
class PretrainedBackbone:
    """Starts a detector from a pre-trained backbone, wherever the detector holds the backbone's stages.

    Set as the *detector's* ``init_cfg``: one file then fills the backbone and, in a C4 detector, the last stage in the
    head on regions (:class:`~mixssl.models.detection.Res5Head`), of which mmdet's own ``Pretrained`` would leave one
    at random without an error. Every tensor of the file must have its place and every place its tensor, in name and
    shape; the log says how many arrived where.

    Args:
        checkpoint: A checkpoint of pre-training, a backbone extracted from one, torchvision's names (also
            ``torchvision://resnet50``), or ``'random'``. None is refused when it is used.

    Raises:
        ConfigError: No checkpoint, or one whose backbone is not the detector's: one line with what is missing, what
            is unexpected, and what has another shape.
    """

    def __init__(self, checkpoint: str | None = None) -> None:
        self.checkpoint = checkpoint

    def __call__(self, detector: nn.Module) -> None:
        """Fills a detector in place, and marks what was filled so that nothing initialises it again."""
        if self.checkpoint is None:
            raise ConfigError(
                "pretrained is None: name the backbone's file with --cfg-options pretrained=FILE, or ask for random "
                "weights with pretrained=random"
            )
        if self.checkpoint == RANDOM:
            print_log("The backbone starts from random weights, as asked for.", logger="current")
            return
        found, places, state = (
            read_backbone(self.checkpoint),
            backbone_places(detector),
            detector.state_dict(),
        )
        _check(self.checkpoint, found, {name: state[place] for name, place in places.items()})
        detector.load_state_dict({places[name]: found[name] for name in found}, strict=False)
        arrived = {part: sum(places[name].startswith(part) for name in found) for part in PARTS}
        for part in filter(arrived.get, PARTS):
            filled: Any = detector.get_submodule(part.rstrip("."))
            filled.is_init = True
        where = ", ".join(f"{n} in {part.rstrip('.')}" for part, n in arrived.items() if n)
        print_log(
            f"Pre-trained backbone from {self.checkpoint}: all {len(found)} tensors are in the detector ({where}), "
            "none missing, none unexpected.",
            logger="current",
        )
        if hasattr(detector, "_params_init_info"):
            update_init_info(detector, init_info=f"PretrainedBackbone: {self.checkpoint}")


def read_backbone(path: str) -> dict[str, Tensor]:
    """Reads the backbone in a checkpoint.

    Args:
        path: File or address. A checkpoint of pre-training holds the backbone under ``backbone.``; a file without such
            names is taken to be a backbone, and its classifier is left out.

    Returns:
        The tensors by their name in the backbone, on the CPU.

    Raises:
        ConfigError: There is no such file.
    """
    try:
        checkpoint = CheckpointLoader.load_checkpoint(path, map_location="cpu", logger="silent")
    except FileNotFoundError as error:
        raise ConfigError(f"pretrained is {path!r}, and there is no such file") from error
    return part_of(state_dict_of(checkpoint), "backbone")


def backbone_places(detector: nn.Module) -> dict[str, str]:
    """A backbone's names, and the detector's names for the same tensors."""
    places = {}
    for place in detector.state_dict():
        for part in PARTS:
            name = place.removeprefix(part)
            # Of a head on regions only the stage is the backbone's: the norm after it is new.
            if name != place and (part == PARTS[0] or name.startswith("layer")):
                places[name] = place
    return places


def _check(path: str, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raises unless names and shapes agree. Old files lack the counters of batches, which nothing needs."""
    needed = {
        name: value for name, value in wanted.items() if name in found or not name.endswith(COUNTER)
    }
    wrong = mismatch(needed, found)
    if wrong:
        raise ConfigError(
            f"pretrained is {path!r}, and its backbone is not the detector's: {wrong}. Take a config with the "
            "backbone's depth; a backbone with a stem for small images (3×3, no pooling) fits none of them"
        )
