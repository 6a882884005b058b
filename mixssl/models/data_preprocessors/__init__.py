"""Data preprocessors."""

from mixssl.models.data_preprocessors.instance_mix_data_preprocessor import (
    InstanceMixDataPreprocessor,
)

__all__ = ["InstanceMixDataPreprocessor"]
