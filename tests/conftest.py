"""What holds for every test: no window, and no state that a test leaves to the next."""

from collections.abc import Iterator

import matplotlib
import pytest
from mmengine.registry import DefaultScope

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _scopes_as_they_were() -> Iterator[None]:
    """A runner sets a default scope for the whole process; the next test must not find it."""
    before = dict(DefaultScope._instance_dict)
    yield
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)
