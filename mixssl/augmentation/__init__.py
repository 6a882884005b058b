"""Augmentation of whole batches on the device that trains, in place of per-image transforms in data workers."""

from mixssl.augmentation.base import Operation, build_operation
from mixssl.augmentation.blur import GaussianBlur
from mixssl.augmentation.color import ColorJitter, RandomGrayscale, Solarize
from mixssl.augmentation.geometry import RandomFlip, RandomResizedCrop
from mixssl.augmentation.views import RandomApply, Views

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "Operation",
    "RandomApply",
    "RandomFlip",
    "RandomGrayscale",
    "RandomResizedCrop",
    "Solarize",
    "Views",
    "build_operation",
]
