"""A frozen teacher: a network that somebody has trained, beside a model that learns from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from mmengine.dist import broadcast
from torch import Tensor, nn

from mixssl.models.necks.distill_neck import FeaturePool, extra_tokens
from mixssl.registry import MODELS
from mixssl.utils.checkpoints import digest_of, mismatch, part_of, read_checkpoint
from mixssl.utils.errors import ConfigError

UNUSED = ("mask_token",)
"""Tensors of DINOv2's files that no pass over whole images reads."""


class FrozenTeacher(nn.Module):
    """Runs a backbone without gradient and in evaluation mode, whatever the mode of the model it teaches.

    The network is no submodule: optimizers, distributed wrappers, initialisation and checkpoints don't see it. A
    checkpoint holds the SHA-256 of its tensors instead, and is refused beside another teacher. Weights are loaded by
    ``init_weights``, or at the first step where nobody calls that.

    Args:
        backbone: Config of a backbone of mmpretrain, or of ``mmpretrain.TIMMBackbone``, whose output is (N, C), a map
            or tokens. Nothing is downloaded for it.
        checkpoint: File of its weights: all of the backbone's tensors, under the names of the backbone or behind
            "backbone.". None leaves the weights that the backbone's own config brings, its ``init_cfg`` or timm's
            ``checkpoint_path``, and random ones where it brings none.
        mean: Per channel that the teacher was trained with, of pixels from 0 to 255, in the order of channels of the
            model's data preprocessor. None for the preprocessor's own.
        std: Likewise.
        bfloat16: Whether it runs in bfloat16; the features are then rounded, the losses are not.
        pixels: The model's data preprocessor.

    Raises:
        ConfigError: If the backbone would be downloaded, one of mean and std is missing or of another length than
            the preprocessor's; when weights are loaded, if they don't fit or there is no such file.
    """

    digest: Tensor

    def __init__(
        self,
        backbone: dict,
        checkpoint: str | None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        bfloat16: bool = False,
        pixels: Any = None,
    ) -> None:
        super().__init__()
        if backbone.get("pretrained"):
            raise ConfigError(
                f"teacher.backbone.pretrained is {backbone['pretrained']!r} and would download weights: name a file in "
                "teacher.checkpoint, or in checkpoint_path of the backbone"
            )
        network = MODELS.build(backbone)
        whole = nn.Sequential(network, FeaturePool(extra_tokens(network)))
        pixel_change = None
        if mean is not None or std is not None:
            pixel_change = _PixelChange(pixels, mean, std)
            network.register_forward_pre_hook(pixel_change)
        # In a tuple, where torch does not look for submodules.
        self._hidden = (whole.requires_grad_(False).eval(), pixel_change)
        self._ready = False
        self.checkpoint = checkpoint
        self._rounded = bfloat16
        self.register_buffer("digest", torch.zeros(32, dtype=torch.uint8))

    @property
    def module(self) -> nn.Sequential:
        """The backbone, and what makes one feature of an image of its output."""
        return self._hidden[0]

    def update_parameters(self, *_: Any) -> None:
        """Does nothing, where a momentum encoder would follow."""

    def _apply(self, fn: Callable, recurse: bool = True) -> FrozenTeacher:
        """Moves the network along with the model."""
        for module in self._hidden:
            if module is not None:
                module._apply(fn)
        return super()._apply(fn, recurse)

    def precision(self, device: torch.device) -> AbstractContextManager:
        """Surrounds a pass of the network."""
        if not self._rounded:
            return nullcontext()
        return torch.autocast(device.type, torch.bfloat16)

    def init_weights(self) -> None:
        """Loads the weights, once."""
        if self._ready:
            return
        network: Any = self.module[0]
        if self.checkpoint is None:
            network.init_weights()
            for tensor in network.state_dict().values():
                broadcast(tensor, src=0)
        else:
            inner = getattr(network, "timm_model", network)
            found = part_of(read_checkpoint(self.checkpoint).state, "backbone")
            found = {name: value for name, value in found.items() if name not in UNUSED}
            wrong = mismatch(inner.state_dict(), found)
            if wrong:
                raise ConfigError(
                    f"teacher.checkpoint {self.checkpoint!r} does not hold teacher.backbone "
                    f"({type(network).__name__}): {wrong}; take the backbone that it was trained with"
                )
            inner.load_state_dict(found)
        self.module.requires_grad_(False).eval()
        self._ready = True
        expected = self.digest.clone()
        self.digest.copy_(torch.tensor(list(digest_of(network.state_dict())), dtype=torch.uint8))
        if expected.any():  # a checkpoint was loaded before
            self._compare(expected)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Compares the teacher that a checkpoint names with this one."""
        expected = state_dict.get(f"{prefix}digest")
        if self._ready and expected is not None:
            self._compare(expected)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _compare(self, expected: Tensor) -> None:
        named, own = (bytes(value.tolist()).hex() for value in (expected, self.digest))
        if named != own:
            raise ConfigError(
                f"the checkpoint's student learned from another teacher, {named[:8]}, and teacher.checkpoint "
                f"{self.checkpoint!r} is {own[:8]}: name the file that it learned from"
            )


class _PixelChange(nn.Module):
    """From the normalisation of the student's pixels to that of the teacher's, as a hook before its backbone.

    Args:
        pixels: The data preprocessor.
        mean: Of the teacher.
        std: Of the teacher.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, pixels: Any, mean: Sequence[float] | None, std: Sequence[float] | None
    ) -> None:
        super().__init__()
        normalised = bool(getattr(pixels, "_enable_normalize", False))
        own_mean = pixels.mean.flatten() if normalised else torch.zeros(1)
        own_std = pixels.std.flatten() if normalised else torch.ones(1)
        if mean is None or std is None or len(mean) != len(std):
            raise ConfigError(
                f"teacher.mean is {mean} and teacher.std is {std}: give a number per channel in both, like "
                "mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], or neither, for the student's"
            )
        if len(own_mean) not in (1, len(mean)):
            raise ConfigError(
                f"teacher.mean has {len(mean)} channels and the data preprocessor's has {len(own_mean)}: give as many"
            )
        spread = torch.tensor(std, dtype=own_std.dtype)
        shift = (own_mean - torch.tensor(mean, dtype=own_mean.dtype)) / spread
        self.register_buffer("scale", (own_std / spread)[:, None, None])
        self.register_buffer("shift", shift[:, None, None])

    def forward(self, module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Changes the images that a module is called with, (N, C, H, W)."""
        return (args[0] * self.scale + self.shift, *args[1:])
