"""The states of the generators that a whole process draws from: Python's, NumPy's and torch's."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """States of this process's generators, the current GPU's among them, in types that a checkpoint may hold."""
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 (not to draw: mmpretrain's transforms do)
    name, keys, *rest = numpy_state
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Puts this process's generators into a state that :func:`random_state` has given."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.cpu().numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


@contextmanager
def kept_random_state() -> Iterator[None]:
    """Puts this process's generators back afterwards.

    Data loaders draw a seed from torch whenever they start, and mmengine's samplers one from NumPy.
    """
    before = random_state()
    try:
        yield
    finally:
        set_random_state(before)
