"""Data sets and transforms that mmpretrain lacks."""

from mixssl.datasets.any_images import AnyImages
from mixssl.datasets.cifar import CIFAR10, CIFAR100
from mixssl.datasets.digit_scenes import DigitScenes
from mixssl.datasets.digits import Digits
from mixssl.datasets.in_memory import InMemory
from mixssl.datasets.stl10 import STL10
from mixssl.datasets.subsets import class_balanced_subset, class_slice, listed_subset
from mixssl.datasets.tiny_imagenet import TinyImageNet
from mixssl.datasets.transforms import GaussianNoise, KeepDifficult, PackImages
from mixssl.datasets.xml_boxes import XMLBoxes

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "STL10",
    "AnyImages",
    "DigitScenes",
    "Digits",
    "GaussianNoise",
    "InMemory",
    "KeepDifficult",
    "PackImages",
    "TinyImageNet",
    "XMLBoxes",
    "class_balanced_subset",
    "class_slice",
    "listed_subset",
]
