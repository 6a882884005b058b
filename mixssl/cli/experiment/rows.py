"""What a comparison compares: rows of configs, swept values, and baselines without a mixture."""

from __future__ import annotations

import argparse
import copy
import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mixssl.cli.experiment.keys import has_place, in_words, label, look_up
from mixssl.cli.experiment.lengths import fit_epochs
from mixssl.cli.without_mixture import mixture_switch, without_mixture
from mixssl.engine.launch import load_config, set_data_root
from mixssl.utils.cfg_options import merge_options
from mixssl.utils.config_checks import check_config, forbid_silent_download
from mixssl.utils.errors import ConfigError

__all__ = ["UNTRAINED_ROW", "Row", "Wanted", "longer_baselines", "make_rows"]

UNTRAINED_ROW = "untrained"
WHERE_THERE = "?"
"""At the end of a key of --cfg-options: change it only in configs that have it."""


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for.

    Attributes:
        configs: Paths.
        epochs: Of each run.
        names: What to call the configs; empty for their files' names.
        options: Changes of every config, by dotted key; one that ends in "?" is made only where the key exists.
        sweep: Dotted key to the values to try, each combination a row.
        with_baseline: Whether each row with a mixture gets the same config without one as the row it is compared with.
        with_untrained: Whether the first config's initial weights are judged too.
        data_root: Folder of the images; None as the configs say.
    """

    configs: Sequence[str]
    epochs: int
    names: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    with_baseline: bool = False
    with_untrained: bool = False
    data_root: str | None = None


@dataclass(frozen=True)
class Row:
    """Runs that differ by their seed alone.

    Attributes:
        name: In tables; unique.
        config: Path of the file it comes from.
        change: What was changed of it, but for the number of epochs, in the words of --cfg-options.
        cfg: The config to train, whole.
        epochs: Of each run; 0 for initial weights.
        notes: What bringing it to that length has changed.
        mixed: Whether it has a mixture.
        against: Name of the row that its gain is over; None for one that is compared with nothing.
        longer: Whether it is a baseline with the compute of a mixture.
        planned: The same at the length that its file plans.
    """

    name: str
    config: str
    change: str
    cfg: Config
    epochs: int
    notes: tuple[str, ...]
    mixed: bool
    against: str | None = None
    longer: bool = False
    planned: Config | None = None

    @property
    def digest(self) -> str:
        """Names the settings: two rows with the same one would train the same, seed by seed."""
        return _digest(self.cfg if self.mixed else without_mixture(self.cfg))


def make_rows(wanted: Wanted) -> list[Row]:
    """Reads configs and makes the rows of a comparison, baselines before what is compared with them.

    Raises:
        ConfigError: Something that can't work, before anything is trained.
    """
    rows: list[Row] = []
    swept: set[str] = set()
    for path, title in zip(wanted.configs, _titles(wanted), strict=True):
        plain = _read(path, wanted)
        keys = [key for key in wanted.sweep if has_place(plain, key)]
        swept.update(keys)
        for values in itertools.product(*(wanted.sweep[key] for key in keys)):
            _add(rows, _swept(plain, dict(zip(keys, values, strict=True)), path, title, wanted))
    idle = [key for key in wanted.sweep if key not in swept]
    if idle:
        raise ConfigError(
            f"--sweep {idle[0]} has no place in any of the configs: name a key below one that they have"
        )
    if wanted.with_untrained:
        first = rows[0]
        start = Row(UNTRAINED_ROW, first.config, "initial weights", first.cfg, 0, (), False)
        rows.insert(0, start)
    compared = [row for row in rows if row.epochs]
    if not wanted.with_baseline:
        first = compared[0]
        rows = [
            row if row is first or not row.epochs else _with(row, against=first.name)
            for row in rows
        ]
    return rows


def longer_baselines(rows: Sequence[Row], epochs: Mapping[str, int]) -> tuple[list[Row], dict]:
    """The baselines again, trained as long as the compute of a mixture would have lasted.

    Args:
        rows: With the baselines.
        epochs: Name of a row with a mixture to epochs of its baseline that cost as much.

    Returns:
        New rows, each once, and the name of that of each row with a mixture.
    """
    by_name = {row.name: row for row in rows}
    extra: dict[str, Row] = {}
    of: dict[str, str] = {}
    for name, length in epochs.items():
        base = by_name[by_name[name].against or name]
        if length == base.epochs:  # it costs no more
            of[name] = base.name
            continue
        title = f"{base.name}, {length} epochs"
        if title not in extra:
            cfg = copy.deepcopy(base.planned or base.cfg)
            notes = tuple(fit_epochs(cfg, length))
            extra[title] = _with(
                base, name=title, cfg=cfg, epochs=length, notes=notes, longer=True, against=None
            )
        of[name] = title
    return list(extra.values()), of


def _titles(wanted: Wanted) -> list[str]:
    if wanted.names and len(wanted.names) != len(wanted.configs):
        raise ConfigError(
            f"{len(wanted.configs)} configs have the names {', '.join(wanted.names)}: give as many"
        )
    names = list(wanted.names) or [Path(path).stem for path in wanted.configs]
    if len(set(names)) < len(names) and not wanted.names:
        names = [f"{Path(path).parent.name}/{Path(path).stem}" for path in wanted.configs]
    if len(set(names)) < len(names):
        raise ConfigError(
            f"the configs have the names {', '.join(names)}: give different ones with --names"
        )
    return names


def _read(path: str, wanted: Wanted) -> Config:
    cfg = load_config(argparse.Namespace(config=path, launcher="none", local_rank=0, work_dir=None))
    for key in ("work_dir", "launcher"):  # the runs' own
        cfg.pop(key, None)
    if wanted.data_root is not None:
        set_data_root(cfg, wanted.data_root)
    merge_options(
        cfg,
        {
            key.removesuffix(WHERE_THERE): value
            for key, value in wanted.options.items()
            if not key.endswith(WHERE_THERE)
            or look_up(cfg, key.removesuffix(WHERE_THERE)) is not None
        },
    )
    return cfg


def _swept(
    plain: Config, values: dict[str, Any], path: str, title: str, wanted: Wanted
) -> list[Row]:
    """The row of one combination of values, its baseline before it where one is asked for."""
    cfg = copy.deepcopy(plain)
    merge_options(cfg, copy.deepcopy(values))
    options = {
        key.removesuffix(WHERE_THERE): value
        for key, value in wanted.options.items()
        if look_up(plain, key.removesuffix(WHERE_THERE)) == value
    }
    switch = mixture_switch(cfg)
    row = _row(label(title, values), path, options | values, cfg, wanted.epochs, switch is not None)
    if switch is None or not wanted.with_baseline:
        return [row]
    base = without_mixture(cfg)
    # What has gone with the mixture says nothing about the baseline.
    kept, rest = (
        {key: value for key, value in changes.items() if look_up(base, key) == value}
        for changes in (options, values)
    )
    name = f"{label(title, rest)}, no mixture"
    base.merge_from_dict({switch: None})  # a reader of the run's config sees what was done
    baseline = _row(name, path, kept | rest | {switch: None}, base, wanted.epochs, mixed=False)
    return [baseline, _with(row, against=name)]


def _row(
    name: str, path: str, changes: dict[str, Any], planned: Config, epochs: int, mixed: bool
) -> Row:
    """A row of a config that can work, brought to its length."""
    cfg = copy.deepcopy(planned)
    notes = tuple(fit_epochs(cfg, epochs))
    check = copy.deepcopy(cfg)
    forbid_silent_download(check)
    check_config(check)
    return Row(name, path, in_words(changes), cfg, epochs, notes, mixed, planned=planned)


def _add(rows: list[Row], new: list[Row]) -> None:
    """Adds rows but for those whose settings are there already, under whatever name."""
    known = {row.digest: row.name for row in rows}
    renamed: dict[str, str] = {}
    for row in new:
        if row.digest in known:
            renamed[row.name] = known[row.digest]
        elif row.name in {other.name for other in rows}:
            raise ConfigError(f"two rows are called {row.name!r}: give names with --names")
        else:
            against = renamed.get(row.against or "", row.against)
            rows.append(_with(row, against=against))


def _with(row: Row, **changes: Any) -> Row:
    return Row(**{**row.__dict__, **changes})


def _digest(cfg: Config) -> str:
    text = json.dumps(cfg.to_dict(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
