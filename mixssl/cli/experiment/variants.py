"""What an experiment compares: configs, the values swept over in them, and baselines without a mixture."""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from mmengine.config import Config

from mixssl.cli.analysis import names_of
from mixssl.cli.experiment.lengths import fit_epochs
from mixssl.cli.launch import open_config, set_data_root
from mixssl.cli.without_mixture import mixture_switch, without_mixture
from mixssl.utils.cfg_options import merge_options
from mixssl.utils.config_checks import check_config, forbid_silent_download
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import UNTRAINED

__all__ = ["Variant", "longer_baselines", "make_variants"]

WHERE_PRESENT = "?"
"""At the end of a key of ``options``: change it only in configs that have it."""


@dataclass(frozen=True)
class Variant:
    """A config as it is trained; its runs differ by their seed alone.

    Attributes:
        name: In tables; unique.
        config: Path of the file it comes from.
        change: What was changed of it, but for the number of epochs, in the words of ``--cfg-options``.
        planned: The changed config, at the length that its file plans.
        cfg: The same, brought to ``epochs``.
        epochs: Of each run; 0 for initial weights.
        notes: What bringing it to that length has changed.
        baseline: Name of the variant that its gain is over; None for one that is compared with nothing.
    """

    name: str
    config: str
    change: str
    planned: Config
    cfg: Config
    epochs: int
    notes: tuple[str, ...] = ()
    baseline: str | None = None

    @property
    def mixed(self) -> bool:
        """Whether it trains on a mixture."""
        return self.epochs > 0 and mixture_switch(self.cfg) is not None

    @cached_property
    def digest(self) -> str:
        """Names the settings: two variants with the same one would train the same, seed by seed."""
        cfg = self.cfg if self.mixed else without_mixture(self.cfg)
        text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def make_variants(
    configs: Sequence[str],
    epochs: int,
    *,
    names: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    with_baseline: bool = False,
    with_untrained: bool = False,
    data_root: str | None = None,
) -> list[Variant]:
    """Reads configs and makes the variants of an experiment, baselines before what is compared with them.

    Args:
        configs: Paths.
        epochs: Of each run.
        names: What to call the configs; None for their files' names.
        options: Changes of every config, by dotted key; one that ends in "?" is made only where the key exists.
        sweep: Dotted key to the values to try; each combination is a variant. A config that has no place for a key is
            not swept over it.
        with_baseline: Whether a variant with a mixture is compared with the same config without one, and not with the
            first variant. Mixtures that share a baseline share its runs.
        with_untrained: Whether to add the initial weights of the first config.
        data_root: Folder of the images; None as the configs say.

    Raises:
        ConfigError: Something that can't work, before anything is trained.
    """
    found: list[Variant] = []
    sweep, swept = sweep or {}, set()
    for path, title in zip(configs, names_of(configs, names), strict=True):
        cfg, changes = _read(path, options or {}, data_root)
        keys = [key for key in sweep if _has_place(cfg, key)]
        swept.update(keys)
        for values in itertools.product(*(sweep[key] for key in keys)):
            point = dict(zip(keys, values, strict=True))
            planned = copy.deepcopy(cfg)
            merge_options(planned, copy.deepcopy(point))
            variant = _variant(_label(title, point), path, changes | point, planned, epochs)
            if with_baseline and variant.mixed:
                base = _add(found, _baseline(variant, title, changes, point))
                variant = replace(variant, baseline=base.name)
            _add(found, variant)
    for key in sweep:
        if key not in swept:
            raise ConfigError(
                f"--sweep {key} has no place in any of the configs: name a key below one that they have"
            )
    if not with_baseline:
        found[1:] = [replace(variant, baseline=found[0].name) for variant in found[1:]]
    if with_untrained:
        start = replace(found[0], name=UNTRAINED, change="initial weights", epochs=0, notes=())
        found.insert(0, start)
    return found


def longer_baselines(
    variants: Sequence[Variant], epochs: Mapping[str, int]
) -> tuple[list[Variant], dict[str, str]]:
    """Adds the baselines again, trained as long as the compute of a mixture would have lasted.

    Args:
        variants: With the baselines.
        epochs: Name of a variant with a mixture, to epochs of its baseline that cost as much.

    Returns:
        All variants, the longer baselines right after those they belong to; and the name of the baseline of equal
        compute of each variant with a mixture.
    """
    by_name = {variant.name: variant for variant in variants}
    longer: dict[str, dict[str, Variant]] = {variant.name: {} for variant in variants}
    of: dict[str, str] = {}
    for name, length in epochs.items():
        base = by_name[by_name[name].baseline or name]
        if length == base.epochs:  # it costs no more
            of[name] = base.name
            continue
        of[name] = f"{base.name}, {length} epochs"
        cfg = copy.deepcopy(base.planned)
        notes = tuple(fit_epochs(cfg, length))
        same = replace(base, name=of[name], cfg=cfg, epochs=length, notes=notes)
        longer[base.name][of[name]] = same
    return [v for variant in variants for v in (variant, *longer[variant.name].values())], of


def _read(
    path: str, options: Mapping[str, Any], data_root: str | None
) -> tuple[Config, dict[str, Any]]:
    """A config with the options that are for it, and these by their keys."""
    cfg = open_config(path)
    cfg.pop("work_dir", None)  # each run has its own
    if data_root is not None:
        set_data_root(cfg, data_root)
    changes = {
        key.removesuffix(WHERE_PRESENT): value
        for key, value in options.items()
        if not key.endswith(WHERE_PRESENT)
        or _look_up(cfg, key.removesuffix(WHERE_PRESENT)) is not None
    }
    merge_options(cfg, copy.deepcopy(changes))
    return cfg, changes


def _variant(
    name: str, path: str, changes: Mapping[str, Any], planned: Config, epochs: int
) -> Variant:
    """A variant of a config that can work, brought to its length."""
    cfg = copy.deepcopy(planned)
    notes = tuple(fit_epochs(cfg, epochs))
    check = copy.deepcopy(cfg)
    forbid_silent_download(check)
    check_config(check)
    change = "; ".join(f"{key}={_text(value)}" for key, value in changes.items())
    return Variant(name, path, change, planned, cfg, epochs, notes)


def _baseline(
    variant: Variant, title: str, changes: Mapping[str, Any], point: Mapping[str, Any]
) -> Variant:
    """The same without its mixture; what has gone with the mixture is named neither in its title nor as a change."""
    mixed, planned = variant.planned, without_mixture(variant.planned)
    switch = mixture_switch(mixed)
    assert switch is not None
    kept, rest = (
        {key: v for key, v in part.items() if _look_up(planned, key) == _look_up(mixed, key)}
        for part in (changes, point)
    )
    planned.merge_from_dict({switch: None})  # a reader of the run's config sees what was done
    name = f"{_label(title, rest)}, no mixture"
    return _variant(name, variant.config, kept | rest | {switch: None}, planned, variant.epochs)


def _add(variants: list[Variant], new: Variant) -> Variant:
    """Adds a variant, unless its settings are there already under whatever name; the one that is there then."""
    for variant in variants:
        if variant.digest == new.digest:
            return variant
    if new.name in {variant.name for variant in variants}:
        raise ConfigError(f"two variants are called {new.name!r}: give names with --names")
    variants.append(new)
    return new


def _label(title: str, values: Mapping[str, Any]) -> str:
    """What to call a variant: a title and the values that were swept."""
    return ", ".join([title, *(f"{k.rpartition('.')[2]} {_text(v)}" for k, v in values.items())])


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).replace(" ", "")


def _has_place(cfg: Config, key: str) -> bool:
    """Whether a key could be set: whether what it lies in is there."""
    parent = key.rpartition(".")[0]
    return not parent or isinstance(_look_up(cfg, parent), (dict, list))


def _look_up(node: Any, key: str) -> Any:
    """What a config has under a dotted key; None if there is nothing."""
    for part in key.split("."):
        if isinstance(node, (list, tuple)) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        elif isinstance(node, (Mapping, Config)):
            node = node.get(part)
        else:
            return None
    return node
