"""Every data set over a published archive refuses a split that it does not have, and no root."""

from __future__ import annotations

import pytest

from mixssl.datasets import CIFAR10, CIFAR100, STL10, TinyImageNet
from mixssl.utils.errors import ConfigError


@pytest.mark.parametrize("kind", [CIFAR10, CIFAR100, STL10, TinyImageNet])
def test_arguments(kind: type) -> None:
    with pytest.raises(ConfigError, match=f"{kind.__name__}: split is 'valid'; choose .*'train'"):
        kind("somewhere", "valid")
    with pytest.raises(ConfigError, match=f"{kind.__name__}: no data_root given"):
        kind()
