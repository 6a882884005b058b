"""The variants of an experiment: sweeps, baselines, options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.experiment import write_experiment_config

from mixssl.cli.experiment import Variant, longer_baselines, make_variants
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


def variants_of(*paths: str, epochs: int = 2, **settings: Any) -> list[Variant]:
    return make_variants(paths, epochs, **settings)


def test_gains_are_over_the_first_variant(configs: tuple[str, str]) -> None:
    found = variants_of(*configs)
    assert [(v.name, v.baseline, v.mixed) for v in found] == [
        ("plain", None, False),
        ("unmix", "plain", True),
    ]
    assert all(v.cfg.train_cfg.max_epochs == 2 and v.change == "" for v in found)
    assert all("work_dir" not in v.cfg for v in found)


def test_a_sweep_is_every_combination_where_there_is_a_place(configs: tuple[str, str]) -> None:
    found = variants_of(*configs, sweep={ALPHA: [0.5, 1.0], P: [0, 0.5]})
    assert [v.name for v in found] == [
        "plain",
        "unmix, alpha 0.5, p_global 0",
        "unmix, alpha 0.5, p_global 0.5",
        "unmix, alpha 1, p_global 0",
        "unmix, alpha 1, p_global 0.5",
    ]
    mixer = found[2].cfg.data_preprocessor.mixer
    assert (mixer.alpha, mixer.p_global) == (0.5, 0.5)
    assert found[2].change == f"{ALPHA}=0.5; {P}=0.5"
    with pytest.raises(ConfigError, match=r"--sweep model\.nothing\.x has no place in any"):
        variants_of(*configs, sweep={"model.nothing.x": [1]})


def test_mixtures_that_share_a_baseline_share_its_runs(configs: tuple[str, str]) -> None:
    found = variants_of(configs[1], sweep={ALPHA: [0.5, 1.0]}, with_baseline=True)
    assert [(v.name, v.baseline) for v in found] == [
        ("unmix, no mixture", None),
        ("unmix, alpha 0.5", "unmix, no mixture"),
        ("unmix, alpha 1", "unmix, no mixture"),
    ]
    base, mixed = found[:2]
    assert base.cfg.data_preprocessor.mixer is None and "mix_head" not in base.cfg.model
    assert base.change == "data_preprocessor.mixer=None"
    rest = {key: value for key, value in mixed.cfg.model.items() if key != "mix_head"}
    assert rest == base.cfg.model and mixed.cfg.param_scheduler == base.cfg.param_scheduler


def test_each_setting_of_the_method_has_a_baseline_of_its_own(configs: tuple[str, str]) -> None:
    found = variants_of(configs[1], sweep={TAU: [0.1, 0.2]}, with_baseline=True)
    assert [(v.name, v.baseline) for v in found] == [
        ("unmix, temperature 0.1, no mixture", None),
        ("unmix, temperature 0.1", "unmix, temperature 0.1, no mixture"),
        ("unmix, temperature 0.2, no mixture", None),
        ("unmix, temperature 0.2", "unmix, temperature 0.2, no mixture"),
    ]
    assert found[2].cfg.model.head.temperature == 0.2


def test_a_baseline_that_is_there_already_is_not_trained_again(configs: tuple[str, str]) -> None:
    same = "data_preprocessor = dict(mixer=None)\n"  # as the demo's config without Un-Mix is not
    path = Path(configs[0])
    path.write_text(path.read_text() + same)
    found = variants_of(*configs, with_baseline=True)
    assert [(v.name, v.baseline) for v in found] == [("plain", None), ("unmix", "plain")]


def test_options_with_a_question_mark_are_for_configs_that_have_the_key(
    configs: tuple[str, str],
) -> None:
    options = {f"{P}?": 1.0, "optim_wrapper.optimizer.lr": 0.5}
    plain, mixed = variants_of(*configs, options=options)
    assert "mixer" not in plain.cfg.data_preprocessor
    assert mixed.cfg.data_preprocessor.mixer.p_global == 1.0
    assert plain.change == "optim_wrapper.optimizer.lr=0.5"
    assert mixed.change == f"{P}=1; optim_wrapper.optimizer.lr=0.5"
    assert {v.cfg.optim_wrapper.optimizer.lr for v in (plain, mixed)} == {0.5}
    base, _ = variants_of(configs[1], options=options, with_baseline=True)
    assert base.change == "optim_wrapper.optimizer.lr=0.5; data_preprocessor.mixer=None"


def test_a_change_by_a_whole_dict_is_named(configs: tuple[str, str]) -> None:
    optimizer = {"type": "SGD", "lr": 0.5, "_delete_": True}
    (found,) = variants_of(configs[0], options={"optim_wrapper.optimizer": optimizer})
    assert found.cfg.optim_wrapper.optimizer == {"type": "SGD", "lr": 0.5}
    assert found.change == "optim_wrapper.optimizer={'type':'SGD','lr':0.5,'_delete_':True}"


def test_other_settings_are_another_run(configs: tuple[str, str]) -> None:
    first, again = (variants_of(configs[1])[0].digest for _ in range(2))
    other = variants_of(configs[1], options={"optim_wrapper.optimizer.lr": 0.5})[0].digest
    longer = variants_of(configs[1], epochs=3)[0].digest
    assert first == again and len({first, other, longer}) == 3


def test_baselines_of_equal_compute(configs: tuple[str, str]) -> None:
    swept = {"sweep": {ALPHA: [0.5, 1.0, 2.0]}, "with_baseline": True, "with_untrained": True}
    found = variants_of(configs[1], **swept)
    names = [v.name for v in found[2:]]
    every, bases = longer_baselines(found, dict(zip(names, (3, 3, 2), strict=True)))
    longer = "unmix, no mixture, 3 epochs"
    assert [v.name for v in every] == ["untrained", "unmix, no mixture", longer, *names]
    assert [bases[name] for name in names] == [longer, longer, "unmix, no mixture"]
    (added,) = (v for v in every if v not in found)
    assert (added.cfg.train_cfg.max_epochs, added.cfg.param_scheduler[-1].end) == (3, 3)
    assert added.epochs == 3 and not added.mixed and added.baseline is None


def test_untrained_and_names(configs: tuple[str, str]) -> None:
    found = variants_of(*configs, names=["MoCo", "MoCo + Un-Mix"], with_untrained=True)
    assert [(v.name, v.epochs, v.baseline) for v in found] == [
        ("untrained", 0, None),
        ("MoCo", 2, None),
        ("MoCo + Un-Mix", 2, "MoCo"),
    ]
    for names in (["A"], ["A", "A"]):
        with pytest.raises(ConfigError, match="2 files have the names A.*give as many, all diff"):
            variants_of(*configs, names=names)
    with pytest.raises(ConfigError, match="there is no config file"):
        variants_of("missing.py")
