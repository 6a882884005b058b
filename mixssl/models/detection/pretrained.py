"""A pre-trained backbone in a detector: every tensor arrives, or nothing starts."""

from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model.weight_init import update_init_info
from torch import nn

from mixssl.registry import WEIGHT_INITIALIZERS
from mixssl.utils.checkpoints import Checkpoint, mismatch, part_of, read_checkpoint
from mixssl.utils.config_checks import check_start
from mixssl.utils.errors import ConfigError

RANDOM = "random"
"""In place of a file: a start from random weights, asked for by name so that it never happens by mistake."""
PARTS = ("backbone.", "roi_head.shared_head.")
"""Where a detector may hold a backbone's tensors. A C4 detector applies the last stage to regions."""


@WEIGHT_INITIALIZERS.register_module()
class PretrainedBackbone:
    """Starts a detector from a pre-trained backbone, wherever the detector holds the backbone's stages.

    Set as the *detector's* ``init_cfg``: one file then fills the backbone and, in a C4 detector, the last stage in the
    head on regions (:class:`~mixssl.models.detection.Res5Head`), of which mmdet's own ``Pretrained`` would leave one
    at random without an error. Every tensor of the file must have its place and every place its tensor, in name and
    shape; the log says how many arrived where. A classifier starts by it just so.

    Args:
        checkpoint: File of a backbone as tools/convert/extract_backbone.py writes it, of pre-training (``backbone.*``
            is taken), or of torchvision's ResNet (all but the classifier); or ``'random'``. None is refused when it is
            used.

    Raises:
        ConfigError: No checkpoint; one whose backbone is not the detector's, with what is missing, what is unexpected,
            and what has another shape; or one whose config says that pre-training normalised its images otherwise.
    """

    def __init__(self, checkpoint: str | None = None) -> None:
        self.checkpoint = checkpoint

    def __call__(self, detector: nn.Module) -> None:
        """Fills a detector in place, and marks what was filled so that nothing initialises it again."""
        path = check_start(self.checkpoint)
        if path == RANDOM:
            print_log("The backbone starts from random weights, as asked for.", logger="current")
            return
        checkpoint = read_checkpoint(path)
        found = part_of(checkpoint.state, "backbone")
        places, state = backbone_places(detector), detector.state_dict()
        wanted = {name: state[place] for name, place in places.items()}
        wrong = mismatch(wanted, found, counters=False)
        if wrong:
            raise ConfigError(
                f"model.init_cfg.checkpoint is {self.checkpoint!r}, and its backbone is not the model's: {wrong}. Take "
                "a config with the backbone's depth and stem; one with a stem for small images (3×3, no pooling) fits "
                "no detector"
            )
        _check_pixels(checkpoint, detector)
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


def _check_pixels(checkpoint: Checkpoint, detector: nn.Module) -> None:
    """Raises where the config in a checkpoint normalises images otherwise than the detector; most files hold none."""
    preprocessor: Any = getattr(detector, "data_preprocessor", None)
    noted = checkpoint.pixels
    # Detectors alone: a classifier's protocol may have its own.
    if noted is None or not hasattr(preprocessor, "_channel_conversion"):
        return
    here = torch.stack([preprocessor.mean.flatten(), preprocessor.std.flatten()])
    there = torch.tensor([noted["mean"], noted["std"]])
    agree = here.shape == there.shape and here.allclose(there, atol=1e-2)
    if not agree or noted["to_rgb"] != bool(preprocessor._channel_conversion):
        raise ConfigError(
            f"model.init_cfg.checkpoint is {str(checkpoint.path)!r}, and the detector does not normalise as "
            f"pre-training did, with mean {noted['mean']}, std {noted['std']} and "
            f"{'RGB' if noted['to_rgb'] else 'BGR'}: set these in the config's model.data_preprocessor"
        )
