"""What holds for every test: no window, and no state that a test leaves to the next."""

from collections.abc import Iterator

import matplotlib
import pytest
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

import mixssl  # noqa: F401  # first of all, as it provides mmcv's operators

matplotlib.use("Agg")


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
