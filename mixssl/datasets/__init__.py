"""Data sets and transforms that mmpretrain lacks."""

from mixssl.datasets.digits import Digits
from mixssl.datasets.transforms import GaussianNoise

__all__ = ["Digits", "GaussianNoise"]
