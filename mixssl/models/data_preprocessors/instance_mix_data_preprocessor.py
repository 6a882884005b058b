"""The data preprocessor that mixes: normalisation first, then mixtures, all on the device."""

from __future__ import annotations

from typing import Any

from mmpretrain.models import SelfSupDataPreprocessor

from mixssl.mixing import Mixer, StepRandom
from mixssl.registry import MIXERS, MODELS

__all__ = ["InstanceMixDataPreprocessor"]


@MODELS.register_module()
class InstanceMixDataPreprocessor(SelfSupDataPreprocessor):
    """mmpretrain's self-supervised preprocessor, and in training a mixer over the normalised views.

    Without a mixer it is its parent, state keys included. With one, the data dict gains ``mixtures``, a list of
    :class:`~mixssl.structures.MixedView`.

    Args:
        mixer: Config of a mixer, or the mixer; None for no mixture.
        seed: Of the mixture's draws, in [0, 2^63); None takes the run's seed. Seed and step are saved with the model.
        **kwargs: Of the parent: mean, std, to_rgb, non_blocking, ...
    """

    def __init__(
        self, mixer: dict | Mixer | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.mixer: Mixer | None = MIXERS.build(mixer) if isinstance(mixer, dict) else mixer
        if self.mixer is not None:
            self.random = StepRandom(seed)

    def forward(self, data: dict, training: bool = False) -> dict:
        """Moves, converts, normalises and, in training, mixes a batch.

        Args:
            data: ``inputs``: views, each (N, C, H, W), uint8 or float; ``data_samples``.
            training: Whether to mix.

        Returns:
            ``inputs``, ``data_samples`` and, where mixed, ``mixtures``.

        Raises:
            TypeError: If there is a mixer and ``inputs`` is no list of views.
            ValueError: If the mixer can't mix this batch.
        """
        out: dict = super().forward(data, training)
        if training and self.mixer is not None:
            views = out["inputs"]
            if not isinstance(views, list):
                raise TypeError(
                    f"inputs is a {type(views).__name__} and must be a list of views to be mixed: "
                    "put MultiView into the pipeline and use default_collate"
                )
            out["mixtures"] = self.mixer(views, self.random())
        return out
