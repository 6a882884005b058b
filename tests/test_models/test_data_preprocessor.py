"""InstanceMixDataPreprocessor and bytes that nobody normalises; its mixers and views have tests of their own."""

from __future__ import annotations

import pytest
import torch

from mixssl.models.data_preprocessors import InstanceMixDataPreprocessor
from mixssl.utils.errors import ConfigError

IMAGES = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
MIXER = {"type": "mixssl.UnMix"}


@pytest.mark.parametrize("mixer", [MIXER, None])
def test_bytes_are_not_trained_on_without_mean_and_std(mixer: dict | None) -> None:
    data = {"inputs": [IMAGES, IMAGES], "data_samples": None}
    bare = InstanceMixDataPreprocessor(mixer=mixer, seed=0)
    with pytest.raises(ConfigError, match="no mean and std, and the images are bytes"):
        bare(data, training=True)
    bare(data)  # what only looks at images may take them as they are
    bare({"inputs": [IMAGES / 255, IMAGES / 255], "data_samples": None}, training=True)
    raw = InstanceMixDataPreprocessor(mixer=mixer, seed=0, mean=[0.0] * 3, std=[1.0] * 3)
    assert raw(data, training=True)["inputs"][0].dtype == torch.float32
