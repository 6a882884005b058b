"""What holds for every test: no window, no state that a test leaves to the next, and the device that it computes on."""

import os
from collections.abc import Iterator

import matplotlib
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from support.device import DEVICE

import mixssl  # noqa: F401  # first of all, as it provides mmcv's operators

matplotlib.use("Agg")

if (
    DEVICE.type == "cuda"
):  # as exact as the CPU that figures come from, as far as its kernels have a choice
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at CUDA's first use
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.allow_tf32 = False


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips what needs a GPU where there is none, and on a GPU what is marked as of the CPU alone."""
    on_gpu = DEVICE.type == "cuda"
    if (on_gpu or item.get_closest_marker("gpu")) and not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    if on_gpu and (cpu := item.get_closest_marker("cpu")):
        pytest.skip(f"CPU only: {cpu.kwargs['reason']}")


def _as_they_were() -> Iterator[None]:
    """A runner sets a default scope and how far it is for the whole process; what comes next must not find them."""
    before = {kind: dict(kind._instance_dict) for kind in (DefaultScope, MessageHub)}
    yield
    for kind, instances in before.items():
        kind._instance_dict.clear()
        kind._instance_dict.update(instances)


# One for runners that a test builds, one for those that a fixture builds for all tests of a file.
_after_a_test = pytest.fixture(autouse=True)(_as_they_were)
_after_a_file = pytest.fixture(autouse=True, scope="module")(_as_they_were)
