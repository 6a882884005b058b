"""From a pre-training checkpoint to the backbone of another task, with proof that every weight arrives."""

from mixssl.transfer.architecture import ResNetShape, describe, resnet_tensors
from mixssl.transfer.extraction import LAYOUTS, Extraction, extract, to_detectron2
from mixssl.utils.checkpoints import Checkpoint, read_checkpoint

__all__ = [
    "LAYOUTS",
    "Checkpoint",
    "Extraction",
    "ResNetShape",
    "describe",
    "extract",
    "read_checkpoint",
    "resnet_tensors",
    "to_detectron2",
]
