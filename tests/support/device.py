"""Where the tests compute: on the CPU, or on what MIXSSL_TEST_DEVICE names."""

from __future__ import annotations

import os

import torch
from torch import Tensor

__all__ = ["DEVICE", "same"]

DEVICE = torch.device(os.environ.get("MIXSSL_TEST_DEVICE", "cpu"))
"""Models and batches of support.tiny lie there; they are drawn on the CPU, and so the same everywhere."""


def same(a: Tensor, b: Tensor) -> bool:
    """Whether two are equal: bit by bit, but for rounding on a GPU, some of whose kernels add in any order."""
    return (
        torch.allclose(a, b, rtol=1e-2, atol=1e-3) if DEVICE.type == "cuda" else torch.equal(a, b)
    )
