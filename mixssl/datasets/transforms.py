"""Per-image transforms that mmpretrain and torchvision lack."""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from mixssl.registry import TRANSFORMS
from mixssl.utils.errors import ConfigError


@TRANSFORMS.register_module()
class GaussianNoise(BaseTransform):
    """Add independent Gaussian noise to every pixel and channel, clipped to [0, 255].

    torchvision has it for float tensors only (v2), in another range. Draws from torch's generator of the process it
    runs in, as torchvision's transforms do: the one that a data loader seeds in each worker.

    Args:
        std: Standard deviation in the units of the pixels, 0 to 255; a pair (low, high) draws one per image.

    Raises:
        ValueError: A negative or an inverted std.
    """

    def __init__(self, std: float | tuple[float, float]) -> None:
        low, high = std if isinstance(std, (tuple, list)) else (std, std)
        if not 0 <= low <= high:
            raise ValueError(
                f"GaussianNoise: std is {std}; give a number >= 0, or a pair (low, high)."
            )
        self.low = float(low)
        self.high = float(high)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Replace ``img`` (H, W, C), uint8, by a noisy copy."""
        image = results["img"]
        std = self.low + (self.high - self.low) * torch.rand(()).numpy()
        noise = torch.randn(image.shape).numpy()
        noisy = np.rint(image + std * noise)
        results["img"] = np.clip(noisy, 0, 255).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(std=({self.low}, {self.high}))"


@TRANSFORMS.register_module()
class KeepDifficult(BaseTransform):
    """Train on objects that the annotations call difficult, as Detectron2 does on VOC.

    mmdet marks them as ignored, and with the settings of a Faster R-CNN what is ignored is background: the detector is
    taught not to find them. Goes before ``LoadAnnotations``, in training pipelines only; in a test they stay ignored,
    as the benchmark has it.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Clear ``ignore_flag`` of each of the ``instances``, in copies."""
        instances = [{**instance, "ignore_flag": 0} for instance in results["instances"]]
        return {**results, "instances": instances}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


@TRANSFORMS.register_module()
class PackImages(BaseTransform):
    """Packs the pixels and nothing else, for images whose views are made on the device.

    mmpretrain's ``PackInputs`` adds a record with a tensor for the label of each image, which pre-training does not
    read and which takes data workers longer to hand over than small images do.

    Raises:
        ValueError: In a data worker, at the first image of another size than those before: a batch needs one size.
    """

    def __init__(self) -> None:
        self._shape: tuple[int, ...] | None = None

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Turns ``img`` (H, W, C) into ``inputs`` (C, H, W), a tensor of the same dtype; drops the rest."""
        image = results["img"]
        if image.shape != (self._shape or image.shape):
            raise ConfigError(
                f"PackImages: an image of shape {image.shape} comes after one of {self._shape}, and views can be made "
                "on the device of images of one size alone: put ResizeEdge and CenterCrop in front of MultiView, or "
                "let the pipeline make the views"
            )
        self._shape = image.shape
        return {"inputs": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
