"""A study's plan: its arms, how each is searched for, and what is trained in which order."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config
from mmengine.fileio import load

from mixssl.cli.launch import open_config
from mixssl.cli.speed import augment_on_device, use_amp
from mixssl.cli.tool import tools_folder
from mixssl.cli.without_mixture import without_mixture
from mixssl.utils.cfg_options import merge_options
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import did_you_mean

NONE = "none"
"""Name of the arm without a mixture, which every method has."""


@dataclass(frozen=True)
class Arm:
    """A method with a mixture or without.

    Attributes:
        method: Its name.
        mixture: Its name; "none" without.
        units: Compute of a step for each image, a forward pass 1 and a backward pass 2.
        config: Path of the recipe, from the repository's root.
        options: Changes of it, by dotted key.
        grid: Points of the search, each the changes that it makes.
    """

    method: str
    mixture: str
    units: float
    config: str
    options: Mapping[str, Any] = field(hash=False)
    grid: Sequence[Mapping[str, Any]] = field(hash=False)


class Run(NamedTuple):
    """A training that can be made longer.

    Attributes:
        arm: What is trained.
        images: How many.
        seed: Of training.
        settings: A point of the arm's grid, as (key, value) pairs.
        held_out: Whether it is judged on training images that are held out; otherwise on the test images.
    """

    arm: Arm
    images: int
    seed: int
    settings: tuple[tuple[str, Any], ...]
    held_out: bool = False


class Search(NamedTuple):
    """How settings are chosen: ``epochs`` of each round, the better half of the points being left after each."""

    images: int
    held_out: int
    epochs: Sequence[int]
    seed: int
    by: str


class Entry(NamedTuple):
    """A piece of work: arms of one method, the one without a mixture first.

    Attributes:
        arms: To be trained.
        images: How many.
        seeds: Of training.
        epochs: At which mixtures are judged.
        close: Whether only those arms are trained whose gain the first seeds leave open.
    """

    arms: tuple[Arm, ...]
    images: int
    seeds: tuple[int, ...]
    epochs: tuple[int, ...]
    close: bool = False

    def marks(self, arm: Arm) -> list[int]:
        """Epochs at which an arm is judged; without a mixture also where it has cost as much as one."""
        found = set(self.epochs)
        if arm.mixture == NONE:
            others = self.arms[1:]
            found |= {equal_epochs(other, arm, epochs) for other in others for epochs in found}
        return sorted(found)


@dataclass(frozen=True)
class Plan:
    """A study's plan.

    Attributes:
        arms: By (method, mixture).
        options: Changes of every recipe.
        classes: Of the images.
        amp: Precision, as of tools/train.py; None for single.
        device_views: Whether the device makes the views.
        protocols: By which runs are judged.
        search: How settings are chosen.
        work: In order.
    """

    arms: Mapping[tuple[str, str], Arm]
    options: Mapping[str, Any]
    classes: int
    amp: str | None
    device_views: bool
    protocols: tuple[str, ...]
    search: Search
    work: tuple[Entry, ...]

    def config(self, run: Run) -> Config:
        """Whole config of a run, on its share of the images; tools/train.py checks it."""
        arm = run.arm
        cfg = open_config(str(tools_folder().parent / arm.config))
        cfg.pop("work_dir", None)
        merge_options(cfg, {**self.options, **arm.options, **dict(run.settings)})
        if arm.mixture == NONE:
            cfg = without_mixture(cfg)
        if self.amp:
            use_amp(cfg, self.amp)
        if self.device_views:
            augment_on_device(cfg)
        cfg.default_hooks.pop("knn", None)  # runs are judged from outside
        self._share_images(cfg, run)
        return cfg

    def _share_images(self, cfg: Config, run: Run) -> None:
        """Puts the run's share of the images into its loaders, in place."""
        bank = cfg.knn_bank.dataset
        if run.held_out:
            cfg.knn_query.dataset = _slice(bank, start=-(self.search.held_out // self.classes))
        share = run.images // self.classes
        cfg.knn_bank.dataset = _slice(bank, stop=share)
        images = _slice(cfg.train_dataloader.dataset, stop=share)
        cfg.train_dataloader.dataset = {"type": "mixssl.InMemory", "dataset": images}


def _slice(dataset: Mapping[str, Any], **ends: int) -> dict[str, Any]:
    return {"type": "mixssl.ClassSlice", "dataset": dict(dataset), **ends}


def equal_epochs(mixed: Arm, plain: Arm, epochs: int) -> int:
    """Epochs after which an arm without a mixture has cost as much as one with.

    Raises:
        ConfigError: That is no whole number of epochs.
    """
    equal = epochs * mixed.units / plain.units
    if equal != int(equal):
        raise ConfigError(
            f"{epochs} epochs of {mixed.method} with {mixed.mixture} cost {equal:g} without: name epochs at which that "
            "is a whole number"
        )
    return int(equal)


def read_plan(path: Path) -> Plan:
    """Reads a plan, and checks what can be checked without training.

    Raises:
        ConfigError: No such file, no YAML, a key that is missing or unknown, or an arm that is not there.
    """
    try:
        found = load(path)
    except Exception as error:  # a parser has errors of its own
        raise ConfigError(
            f"{path} is no plan that can be read: {' '.join(str(error).split())}"
        ) from error
    whole = {"options", "classes", "amp", "device_views", "protocols", "methods", "search", "work"}
    _require(found, whole, str(path))
    arms = {}
    for method, own in found["methods"].items():
        _require(own, {"config", "search", "mixtures"}, method, {"options"})
        _require(own["mixtures"], {NONE}, f"mixtures of {method}", own["mixtures"])
        keys, values = own["search"].keys(), own["search"].values()
        grid = [dict(zip(keys, point, strict=True)) for point in itertools.product(*values)]
        for mixture, recipe in own["mixtures"].items():
            _require(recipe, {"units"}, f"{method}, {mixture}", {"config", "options"})
            options = {**own.get("options", {}), **recipe.get("options", {})}
            config = recipe.get("config", own["config"])
            arms[method, mixture] = Arm(method, mixture, recipe["units"], config, options, grid)
    _require(found["search"], set(Search._fields), "search")
    work = [entry for one in found["work"] for entry in _entries(one, arms)]
    for entry in work:
        for arm in entry.arms:
            entry.marks(arm)
    return Plan(
        arms,
        found["options"],
        found["classes"],
        found["amp"],
        found["device_views"],
        tuple(found["protocols"]),
        Search(**found["search"]),
        tuple(work),
    )


def _entries(one: Mapping[str, Any], arms: Mapping[tuple[str, str], Arm]) -> list[Entry]:
    """A line of the plan's work, an entry for each method."""
    _require(one, {"methods", "mixtures", "images", "seeds", "epochs"}, "a line of work", {"if"})
    if one.get("if", "close") != "close":
        raise ConfigError(
            f"if is {one['if']!r} in a line of work: it can be 'close', or be left out"
        )
    found = []
    for method in one["methods"]:
        mixtures = [NONE, *(name for name in one["mixtures"] if name != NONE)]
        for mixture in mixtures:
            if (method, mixture) not in arms:
                known = [name for own, name in arms if own == method]
                raise ConfigError(f"{method} has no arm {mixture!r}{did_you_mean(mixture, known)}")
        own_arms = tuple(arms[method, mixture] for mixture in mixtures)
        numbers = tuple(one["seeds"]), tuple(one["epochs"])
        found.append(Entry(own_arms, one["images"], *numbers, close="if" in one))
    return found


def _require(found: Any, needed: set[str], where: str, more: Any = ()) -> None:
    """Raises a ConfigError unless a mapping has these keys, and no others but ``more``."""
    keys = set(found) if isinstance(found, Mapping) else set()
    if missing := sorted(needed - keys):
        raise ConfigError(f"{where} has no {', '.join(missing)}")
    if unknown := sorted(keys - needed - set(more)):
        known = sorted(needed | set(more))
        raise ConfigError(
            f"{where} has {unknown[0]!r}, which nothing reads{did_you_mean(unknown[0], known)}"
        )
