"""Mixtures of a config's own images, to be drawn."""

from __future__ import annotations

from itertools import chain, islice, zip_longest

from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor

from mixssl.registry import MODELS
from mixssl.structures import MixedView
from mixssl.utils.errors import ConfigError
from mixssl.visualization.mixtures import mixture_kind

__all__ = ["draw_mixtures"]

_STEPS_PER_MIXTURE = 8
"""Steps tried for each mixture wanted, so that a kind drawn one time in ten is still likely to be seen."""


def draw_mixtures(cfg: Config, number: int, seed: int = 0) -> tuple[list[Tensor], list[MixedView]]:
    """Mixes the first training batch of a config as the first steps of a run would, each step with its own draw.

    The loader runs in this process and draws from the global generators, which are the caller's to seed.

    Args:
        cfg: A whole training config with a mixer. Not modified.
        number: Mixtures wanted, >= 1.
        seed: Of the mixer's draws.

    Returns:
        views: Clean views of the batch, each (N, C, H, W), normalised.
        mixtures: As many as wanted, the kinds that the mixer makes by turns, else in the order drawn.

    Raises:
        ConfigError: If ``number`` is below 1, the config has no mixer, or its mixer leaves the pixels to the model.
    """
    if number < 1:
        raise ConfigError(f"the number of mixtures is {number} and must be at least 1")
    settings = cfg.get("data_preprocessor") or cfg.get("model", {}).get("data_preprocessor") or {}
    if settings.get("mixer") is None:
        raise ConfigError(
            "this config has no mixer, so there is nothing to draw: set data_preprocessor.mixer, "
            "for instance to dict(type='mixssl.UnMix')"
        )
    init_default_scope(cfg.get("default_scope", "mmpretrain"))
    loader = {**cfg.train_dataloader, "num_workers": 0, "persistent_workers": False}
    batch = next(iter(Runner.build_dataloader(loader, seed=seed)))
    preprocessor = MODELS.build({**settings, "seed": seed})
    views: list[Tensor] = []
    drawn: list[MixedView] = []
    for _ in range(_STEPS_PER_MIXTURE * number):
        data = preprocessor(dict(batch), True)
        views = data["inputs"]
        drawn += data["mixtures"]
    if any(mixture.images is None for mixture in drawn):
        raise ConfigError(
            "this config's mixer leaves mixing to the model, so its data hold no mixed pixels to draw"
        )
    return views, _by_turns(drawn, number)


def _by_turns(drawn: list[MixedView], number: int) -> list[MixedView]:
    """The first mixtures of each kind, in turns, kinds in alphabetical order."""
    kinds: dict[str, list[MixedView]] = {}
    for mixture in drawn:
        kinds.setdefault(mixture_kind(mixture), []).append(mixture)
    turns = chain.from_iterable(zip_longest(*(kinds[kind] for kind in sorted(kinds))))
    return list(islice((mixture for mixture in turns if mixture is not None), number))
