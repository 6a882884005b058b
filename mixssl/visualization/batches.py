"""Mixtures of a config's own images, to be drawn."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain, islice, zip_longest
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor, nn

from mixssl.mixing import DeferredMixture, Mixer, Saliency, StepRandom, center_surround
from mixssl.registry import MODELS
from mixssl.structures import MixedView
from mixssl.utils.config_checks import preprocessor_of
from mixssl.utils.errors import ConfigError
from mixssl.visualization.mixtures import mixture_kind, only_row, row_of_two

IMAGES = 32
"""Images of a batch that take part: enough for any picture, and little memory where images are large."""
STEPS_PER_MIXTURE = 8
"""Steps tried for each mixture wanted, so that a kind drawn one time in ten is still likely to be seen."""


def draw_mixtures(cfg: Config, number: int, seed: int = 0) -> tuple[list[Tensor], list[MixedView]]:
    """Mixes images of a config's first training batch as the first steps of a run would, each step with its own draw.

    The loader runs in this process and draws from the global generators, which are the caller's to seed. A mixer that
    asks for clusters gets the images' labels in their place, and what stands out for what matters.

    Args:
        cfg: A whole training config with a mixer, in its data preprocessor or in its model. Not modified.
        number: Mixtures wanted, >= 1.
        seed: Of the mixer's draws.

    Returns:
        Clean views of up to 32 images, each (N, C, H, W), normalised, and the mixtures: as many as wanted, the kinds
        that the mixer makes by turns, else in the order drawn; of each one row, mostly of another image each time.
        Learned ones have no pixels before the model's ``render_mixtures`` has seen them.

    Raises:
        ConfigError: If ``number`` is below 1, the config has no mixer, or one that asks for clusters and no labels.
    """
    if number < 1:
        raise ConfigError(f"the number of mixtures is {number} and must be at least 1")
    init_default_scope(cfg.get("default_scope", "mmpretrain"))
    settings = preprocessor_of(cfg)
    if settings.get("mixer") is not None:
        preprocessor = MODELS.build({**settings, "seed": seed})
        mixer = preprocessor.mixer
    elif cfg.get("model", {}).get("mix_block"):
        model = build_model(cfg)
        preprocessor, mixer = model.data_preprocessor, model.mixer
    else:
        raise ConfigError(
            "this config has no mixer, so there is nothing to draw: set data_preprocessor.mixer, "
            "for instance to dict(type='mixssl.UnMix')"
        )
    loader = {**cfg.train_dataloader, "num_workers": 0, "persistent_workers": False}
    batch = next(iter(Runner.build_dataloader(loader, seed=seed)))
    views = clean_views(preprocessor, batch)
    clusters = _labels_for(mixer, batch, len(views[0])) if mixer.clusters else None
    return views, sample_mixtures(mixer, views, number, seed, clusters)


def build_model(cfg: Config) -> Any:
    """Builds a config's model as a runner does, with the config's data preprocessor; its weights stay as built."""
    model = deepcopy(dict(cfg.model))
    if cfg.get("data_preprocessor") is not None:
        model.setdefault("data_preprocessor", deepcopy(dict(cfg.data_preprocessor)))
    return MODELS.build(model)


def clean_views(preprocessor: nn.Module, batch: Any, images: int = IMAGES) -> list[Tensor]:
    """What a data preprocessor makes of a batch's first images in training before it mixes.

    Args:
        preprocessor: Stays as it is: a copy makes what views there are to be made, with the draws of the next step.
        batch: Of the data loader.
        images: Of the batch, from the first on.

    Returns:
        Clean views, each (N, C, H, W), normalised; a single one where the batch has no list of views.
    """
    own: Any = deepcopy(preprocessor)
    own.mixer = None
    made = own(batch, getattr(own, "views", None) is not None)["inputs"]
    return [view[:images].clone() for view in (made if isinstance(made, list) else [made])]


def _labels_for(mixer: Mixer, batch: Any, images: int) -> tuple[Tensor, Saliency]:
    """Labels of a batch's first images in place of clusters, and what stands out in place of what matters to them."""
    labels = [sample.get("gt_label") for sample in batch.get("data_samples") or []][:images]
    if not labels or any(label is None or int(label) < 0 for label in labels):
        raise ConfigError(
            f"{type(mixer).__name__} asks for clusters, and the training images have no labels to take in their place: "
            "let a run draw by its own clusters, with default_hooks.mixture_grid.type=mixssl.MixtureGrid"
        )
    return torch.cat(labels), center_surround


def sample_mixtures(
    mixer: Mixer,
    views: Sequence[Tensor],
    number: int,
    seed: int,
    clusters: tuple[Tensor, Saliency] | None = None,
) -> list[MixedView]:
    """Mixes views as the first steps of a run would, each step with its own draw.

    Args:
        mixer: Of the config.
        views: Clean views, each (N, C, H, W), normalised.
        number: Mixtures wanted, >= 1.
        seed: Of the draws; the same seed gives the same λ, partners and regions.
        clusters: Those of the images, (N,), int64, and what matters to them; for mixers that ask for clusters.

    Returns:
        As :func:`draw_mixtures`.
    """
    random = StepRandom(seed)
    kinds: dict[str, list[MixedView]] = {}
    for step in range(STEPS_PER_MIXTURE * number):
        made: list[Any] = mixer(views, random())
        for mixture in made:
            if isinstance(mixture, DeferredMixture) and clusters:
                mixture = mixture.render(*clusters)
            one = only_row(mixture, row_of_two(mixture, step))
            kinds.setdefault(mixture_kind(mixture), []).append(one)
    turns = chain.from_iterable(zip_longest(*(kinds[kind] for kind in sorted(kinds))))
    return list(islice((mixture for mixture in turns if mixture is not None), number))
