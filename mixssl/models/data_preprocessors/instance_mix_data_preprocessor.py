"""The data preprocessor that mixes: views first where none came, then normalisation, then mixtures, on the device."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models import SelfSupDataPreprocessor
from torch import Tensor

from mixssl.augmentation import Views
from mixssl.mixing import Mixer, StepRandom
from mixssl.registry import MIXERS, MODELS
from mixssl.utils.errors import ConfigError


@MODELS.register_module()
class InstanceMixDataPreprocessor(SelfSupDataPreprocessor):
    """mmpretrain's self-supervised preprocessor, which in training makes views, if asked to, and mixes them.

    Without views and mixer it is its parent, state keys included. With a mixer, the data dict gains ``mixtures``, a
    list of :class:`~mixssl.structures.MixedView`, of normalised views, and ``inputs`` loses the views that are there to
    be mixed in alone.

    With views, a batch holds plain images in place of views made by data workers. They are augmented in floating
    point, hence not rounded to 256 levels in between, and ``data_samples`` stay where they are: moving labels that
    nobody reads, one by one, would stall the device.

    Args:
        mixer: Config of a mixer, or the mixer; None for no mixture.
        seed: Of all draws, in [0, 2^63); None takes the run's seed. Seed and step are saved with the model.
        views: Arguments of :class:`~mixssl.augmentation.Views`; None if the pipeline makes the views.
        to_rgb: The images come as BGR, as mmpretrain's data sets and ours give them.
        bgr_to_rgb: The same.
        rgb_to_bgr: The images come as RGB and the network wants BGR.
        mean: Of each channel, from 0 to 255; any number of channels, where the parent takes 1 or 3.
        std: Likewise.
        **kwargs: Of the parent; ``non_blocking`` is True unless given, since nobody need wait for copies from pinned
            memory.

    Raises:
        ConfigError: Views of three channels without a word on their order: their grays and hues would be wrong; or
            other channels than three in such an order; or as many means as there are no standard deviations.
    """

    def __init__(
        self,
        mixer: dict | Mixer | None = None,
        seed: int | None = None,
        views: dict | None = None,
        to_rgb: bool = False,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("non_blocking", True)
        channels = 3 if mean is None else len(mean)
        plain = channels in (1, 3)
        super().__init__(
            to_rgb=to_rgb,
            bgr_to_rgb=bgr_to_rgb,
            rgb_to_bgr=rgb_to_bgr,
            mean=mean if plain else None,
            std=std if plain else None,
            **kwargs,
        )
        if not plain:
            self._normalise_channels(mean, std)
        self.mixer: Mixer | None = MIXERS.build(mixer) if isinstance(mixer, dict) else mixer
        if self.mixer is not None:
            self.random = StepRandom(seed)
        self.views = None if views is None else Views(**({"seed": seed} | views))
        self._comes_as_rgb = rgb_to_bgr
        if self.views is not None and channels == 3 and not self._channel_conversion:
            raise ConfigError(
                "data_preprocessor.views is set, and gray and hue need to know the order of the channels: set "
                "data_preprocessor.to_rgb=True for images that come as BGR, as mmpretrain's data sets load them"
            )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Moves, converts, normalises and, in training, makes views and mixes.

        Args:
            data: ``inputs``: views, each (N, C, H, W), uint8 or float; with ``views`` set and in training one tensor,
                (N, C, H, W), of plain images; ``data_samples``.
            training: Whether to make views and mix.

        Returns:
            ``inputs``, ``data_samples`` and, where mixed, ``mixtures``.

        Raises:
            ConfigError: In training, if images are bytes, 0 to 255, and there is no mean and std to normalise them by.
            TypeError: If there is a mixer and ``inputs`` is no list of views, or are views to be made and it is one.
            ValueError: If the mixer can't mix this batch.
        """
        if training and not self._enable_normalize:
            _refuse_bytes(data.get("inputs"))
        out: dict
        if training and self.views is not None:
            out = {
                "inputs": self.make_views(data.get("inputs"), self.views),
                "data_samples": data.get("data_samples"),
            }
        else:
            out = super().forward(data, training)
        if training and self.mixer is not None:
            views = out["inputs"]
            if not isinstance(views, list):
                raise TypeError(
                    f"inputs is a {type(views).__name__} and must be a list of views to be mixed: "
                    "put MultiView into the pipeline and use default_collate"
                )
            out["mixtures"] = self.mixer(views, self.random())
            out["inputs"] = views[: len(views) - self.mixer.extra_views]
        return out

    def _normalise_channels(
        self, mean: Sequence[float] | None, std: Sequence[float] | None
    ) -> None:
        """Does for any number of channels what the parent does for one and three."""
        if mean is None or std is None or len(mean) != len(std) or self._channel_conversion:
            raise ConfigError(
                f"data_preprocessor: mean is {mean} and std {std}; give one number of each for each channel, and "
                "to_rgb and its like for three channels alone"
            )
        self._enable_normalize = True
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)

    @torch.no_grad()
    def make_views(self, inputs: Any, views: Views) -> list[Tensor]:
        """Plain images, (N, C, H, W), to normalised views, each (N, C, H', W').

        Raises:
            TypeError: Something else than plain images.
        """
        converted = self._channel_conversion or self._comes_as_rgb
        wrong = not isinstance(inputs, Tensor) or inputs.ndim != 4
        if wrong or (converted and inputs.shape[1] != 3):
            found = tuple(inputs.shape) if isinstance(inputs, Tensor) else type(inputs).__name__
            channels = 3 if converted else "C"
            raise TypeError(
                f"inputs is {found} and must be plain images, (N, {channels}, H, W), for the preprocessor to make "
                "views of: take MultiView out of the pipeline, or data_preprocessor.views out of the config"
            )
        images = self.cast_data(inputs)
        made = views(images if self._comes_as_rgb or not converted else images.flip(1))
        if self._comes_as_rgb:
            made = [view.flip(1) for view in made]
        if self._enable_normalize:
            for view in made:
                view.sub_(self.mean).div_(self.std)
        return made


def _refuse_bytes(inputs: Any) -> None:
    """Raises a ConfigError at images that nobody has normalised and nobody will."""
    first = inputs[0] if isinstance(inputs, (list, tuple)) and inputs else inputs
    if isinstance(first, Tensor) and first.dtype == torch.uint8:
        raise ConfigError(
            "the data preprocessor has no mean and std, and the images are bytes, 0 to 255: give it both, as in "
            "data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True); one "
            "inside model replaces the one beside it, with its mean and std"
        )
