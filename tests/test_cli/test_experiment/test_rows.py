"""The rows of a comparison: sweeps, baselines, options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.experiment import write_experiment_config

from mixssl.cli.experiment import Row, Wanted, longer_baselines, make_rows
from mixssl.utils.errors import ConfigError

ALPHA, P, TAU = (
    "data_preprocessor.mixer.alpha",
    "data_preprocessor.mixer.p_global",
    "model.head.temperature",
)


@pytest.fixture
def configs(tmp_path: Path) -> tuple[str, str]:
    plain = write_experiment_config(tmp_path, "plain", mixed=False)
    return str(plain), str(write_experiment_config(tmp_path, "unmix"))


def rows_of(*paths: str, **wanted: Any) -> list[Row]:
    return make_rows(Wanted(paths, epochs=2, **wanted))


def test_gains_are_over_the_first_row(configs: tuple[str, str]) -> None:
    rows = rows_of(*configs)
    assert [(row.name, row.against, row.mixed) for row in rows] == [
        ("plain", None, False),
        ("unmix", "plain", True),
    ]
    assert all(row.cfg.train_cfg.max_epochs == 2 and row.change == "" for row in rows)
    assert all("work_dir" not in row.cfg for row in rows)


def test_a_sweep_is_every_combination_where_there_is_a_place(configs: tuple[str, str]) -> None:
    rows = rows_of(*configs, sweep={ALPHA: [0.5, 1.0], P: [0, 0.5]})
    assert [row.name for row in rows] == [
        "plain",
        "unmix, alpha 0.5, p_global 0",
        "unmix, alpha 0.5, p_global 0.5",
        "unmix, alpha 1, p_global 0",
        "unmix, alpha 1, p_global 0.5",
    ]
    mixer = rows[2].cfg.data_preprocessor.mixer
    assert (mixer.alpha, mixer.p_global) == (0.5, 0.5)
    assert rows[2].change == f"{ALPHA}=0.5; {P}=0.5"
    with pytest.raises(ConfigError, match=r"--sweep model\.nothing\.x has no place in any"):
        rows_of(*configs, sweep={"model.nothing.x": [1]})


def test_mixtures_that_share_a_baseline_share_its_row(configs: tuple[str, str]) -> None:
    rows = rows_of(configs[1], sweep={ALPHA: [0.5, 1.0]}, with_baseline=True)
    assert [(row.name, row.against) for row in rows] == [
        ("unmix, no mixture", None),
        ("unmix, alpha 0.5", "unmix, no mixture"),
        ("unmix, alpha 1", "unmix, no mixture"),
    ]
    base, mixed = rows[:2]
    assert base.cfg.data_preprocessor.mixer is None and "mix_head" not in base.cfg.model
    assert base.change == "data_preprocessor.mixer=None"
    rest = {key: value for key, value in mixed.cfg.model.items() if key != "mix_head"}
    assert rest == base.cfg.model and mixed.cfg.param_scheduler == base.cfg.param_scheduler


def test_each_setting_of_the_method_has_a_baseline_of_its_own(configs: tuple[str, str]) -> None:
    rows = rows_of(configs[1], sweep={TAU: [0.1, 0.2]}, with_baseline=True)
    assert [(row.name, row.against) for row in rows] == [
        ("unmix, temperature 0.1, no mixture", None),
        ("unmix, temperature 0.1", "unmix, temperature 0.1, no mixture"),
        ("unmix, temperature 0.2, no mixture", None),
        ("unmix, temperature 0.2", "unmix, temperature 0.2, no mixture"),
    ]
    assert rows[2].cfg.model.head.temperature == 0.2


def test_a_baseline_that_is_there_already_is_not_trained_again(configs: tuple[str, str]) -> None:
    same = "data_preprocessor = dict(mixer=None)\n"  # as the demo's config without Un-Mix is not
    path = Path(configs[0])
    path.write_text(path.read_text() + same)
    rows = rows_of(*configs, with_baseline=True)
    assert [(row.name, row.against) for row in rows] == [("plain", None), ("unmix", "plain")]


def test_options_with_a_question_mark_are_for_configs_that_have_the_key(
    configs: tuple[str, str],
) -> None:
    options = {f"{P}?": 1.0, "optim_wrapper.optimizer.lr": 0.5}
    plain, mixed = rows_of(*configs, options=options)
    assert "mixer" not in plain.cfg.data_preprocessor
    assert mixed.cfg.data_preprocessor.mixer.p_global == 1.0
    assert plain.change == "optim_wrapper.optimizer.lr=0.5"
    assert mixed.change == f"{P}=1; optim_wrapper.optimizer.lr=0.5"
    assert {row.cfg.optim_wrapper.optimizer.lr for row in (plain, mixed)} == {0.5}


def test_other_settings_are_another_run(configs: tuple[str, str]) -> None:
    first, again = (rows_of(configs[1])[0].digest for _ in range(2))
    other = rows_of(configs[1], options={"optim_wrapper.optimizer.lr": 0.5})[0].digest
    longer = make_rows(Wanted([configs[1]], epochs=3))[0].digest
    assert first == again and len({first, other, longer}) == 3


def test_baselines_of_equal_compute(configs: tuple[str, str]) -> None:
    rows = rows_of(configs[1], sweep={ALPHA: [0.5, 1.0, 2.0]}, with_baseline=True)
    names = [row.name for row in rows[1:]]
    extra, of = longer_baselines(rows, dict(zip(names, (3, 3, 2), strict=True)))
    assert [(row.name, row.epochs, row.longer) for row in extra] == [
        ("unmix, no mixture, 3 epochs", 3, True)
    ]
    assert [of[name] for name in names] == [extra[0].name, extra[0].name, "unmix, no mixture"]
    cosine = extra[0].cfg.param_scheduler[-1]
    assert (extra[0].cfg.train_cfg.max_epochs, cosine.end) == (3, 3)


def test_untrained_and_names(configs: tuple[str, str]) -> None:
    rows = rows_of(*configs, names=["MoCo", "MoCo + Un-Mix"], with_untrained=True)
    assert [(row.name, row.epochs, row.against) for row in rows] == [
        ("untrained", 0, None),
        ("MoCo", 2, None),
        ("MoCo + Un-Mix", 2, "MoCo"),
    ]
    with pytest.raises(ConfigError, match="2 configs have the names A: give as many"):
        rows_of(*configs, names=["A"])
    with pytest.raises(ConfigError, match="give different ones with --names"):
        rows_of(*configs, names=["A", "A"])
    with pytest.raises(ConfigError, match="there is no config file"):
        rows_of("missing.py")
