"""What holds for every test: no window, and no state that a test leaves to the next."""

from collections.abc import Iterator

import matplotlib
import pytest
from mmengine.registry import DefaultScope

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _no_scope_left_behind() -> Iterator[None]:
    """A runner or a config sets a default scope for the whole process; the next test must not find it."""
    yield
    DefaultScope._instance_dict.clear()
