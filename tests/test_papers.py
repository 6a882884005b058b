"""The papers' tables and what their recipes are: the data, the page that is made of it, and the configs as built."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from mmpretrain.utils import register_all_modules
from support.facts import (
    CHECKS,
    IMAGES,
    OF_THEIR_OWN,
    Built,
    expected_rate,
    learning_rates,
    pushed,
    telling_epochs,
)
from support.recipes import with_options
from support.tools import load_tool

from mixssl import evaluation
from mixssl.cli.experiment import make_variants
from mixssl.evaluation import PROTOCOLS

PAPERS = load_tool("papers", "docs")
ROOT = Path(__file__).parents[1]
RECIPES = PAPERS.recipes()
ROWS = [row for folder in PAPERS.PAPERS for row in PAPERS.rows(folder)]
FOLDERS = {"unmix", "mixco", "local_global", "amix"}
_PUSHED: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    MMLogger.get_current_instance().setLevel("ERROR")
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def test_the_page_is_what_the_tool_writes() -> None:
    assert PAPERS.PAGE.read_text() == PAPERS.page(), "run python docs/papers.py"


def test_every_table_and_figure_of_the_papers_is_there() -> None:
    listed = {
        folder: [table["name"] for table in PAPERS.paper(folder)["tables"]]
        for folder in PAPERS.PAPERS
    }
    for folder, tables, figures in (
        ("unmix", range(1, 7), range(8, 14)),
        ("mixco", range(1, 3), (3,)),
        ("local_global", (1,), (4,)),
        ("amix", range(1, 9), (2, 4, 5)),
    ):
        names = " ".join(listed[folder]) + " "
        assert all(f"Table {number} " in names for number in tables), folder
        assert all(re.search(rf"Figures?[^T]* {number} ", names) for number in figures), folder


@pytest.mark.parametrize("folder", PAPERS.PAPERS)
def test_a_row_says_what_stands_for_it(folder: str, subtests: pytest.Subtests) -> None:
    rows = PAPERS.rows(folder)
    assert rows
    for row in rows:
        with subtests.test(f"{row.table}, {row.name}, {row.setting}"):
            _check_row(row)


def _check_row(row: Any) -> None:
    assert row.published and row.status in ("recipe", "command", "refused")
    if row.refused:
        assert row.config is None and len(row.refused) > 20
        return
    assert row.config or row.command
    named = re.findall(
        r"\S+\.(?:py|sh)", f"{row.command or ''} {(row.config and f'configs/{row.config}') or ''}"
    )
    assert named and all((ROOT / name).is_file() for name in named)
    if row.config:
        assert row.config in RECIPES and row.units and row.images
        epochs = round(row.images * 1e6 / PAPERS.facts(row.config)["images"])
        if any(option.startswith("param_scheduler") for option in row.options):
            cfg = with_options(Config.fromfile(PAPERS.CONFIGS / row.config), row.options)
            rates, schedule = learning_rates(cfg, epochs), {"cosine": epochs}
            for epoch in telling_epochs(schedule, epochs):
                expected = expected_rate(schedule, PAPERS.facts(row.config)["lr"], epoch)
                assert rates[epoch] == pytest.approx(expected, rel=1e-5), epoch


def test_the_policies_of_a_table_are_one_sweep_over_one_baseline(tmp_path: Path) -> None:
    """Table 4 of AMix: compare.py trains what the rows' own commands train."""
    config, key = "amix/mocov2_r18_policies_stl10.py", "data_preprocessor.mixer.type"
    table = [
        row
        for row in ROWS
        if (row.table, row.config, row.setting) == ("Table 4", config, "R18, 400 epochs")
    ]
    types = [f"mixssl.{row.name}" for row in table]
    plain, *swept = make_variants(
        [str(PAPERS.CONFIGS / config)],
        400,
        sweep={key: types},
        data_root=str(tmp_path),
        with_baseline=True,
    )
    assert not plain.mixed and len(swept) == len(table) == 6
    for row, found in zip(table, swept, strict=True):
        own = with_options(Config.fromfile(PAPERS.CONFIGS / config), row.options)
        assert found.baseline == plain.name
        for part in ("model", "data_preprocessor", "optim_wrapper", "train_cfg", "param_scheduler"):
            assert found.cfg[part] == own[part], (row.name, part)


def test_figures_of_ours_are_those_of_the_same_run_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    row = next(row for row in ROWS if row.options == ("data_preprocessor.mixer=None",))
    run = {
        "config": f"configs/{row.config}",
        "change": "data_preprocessor.mixer=None",
        "epochs": str(PAPERS.facts(row.config)["epochs"]),
        "column": "linear",
        "value": "91.00",
    }
    monkeypatch.setattr(PAPERS, "_results", lambda: [run, run | {"epochs": "20", "value": "40.00"}])
    assert PAPERS.ours(row) == "linear 91.00"
    assert PAPERS.ours(row._replace(options=())) == ""


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_configs_and_their_page_repeat_the_figures_of_a_row(folder: str) -> None:
    page = (PAPERS.CONFIGS / folder / "README.md").read_text().splitlines()
    of_recipes: dict[str, list[set[str]]] = {}
    for row in ROWS:
        if (
            row.status == "recipe"
            and row.config.startswith(f"{folder}/")
            and row.published != "drawn"
        ):
            of_recipes.setdefault(row.config, []).append(_numbers(row.published))
    assert of_recipes
    for config, figures in of_recipes.items():
        text = _numbers((PAPERS.CONFIGS / config).read_text())
        assert any(numbers <= text for numbers in figures), config
        (line,) = (line for line in page if f"]({Path(config).name})" in line)
        assert any(numbers <= _numbers(line) for numbers in figures), config


def _numbers(text: str) -> set[str]:
    return {f"{float(number):g}" for number in re.findall(r"\d+\.\d+", text)}


@pytest.mark.parametrize("folder", sorted(FOLDERS))
def test_the_metafile_lists_every_config_with_its_facts(folder: str) -> None:
    models = yaml.safe_load((PAPERS.CONFIGS / folder / "metafile.yml").read_text())["Models"]
    found = {model["Config"].removeprefix("configs/"): model["Metadata"] for model in models}
    assert set(found) == {name for name in RECIPES if name.startswith(f"{folder}/")}
    for name, metadata in found.items():
        facts = PAPERS.facts(name)
        assert (metadata["Epochs"], metadata["Batch Size"]) == (facts["epochs"], facts["batch"]), (
            name
        )


def test_every_config_of_a_paper_has_its_facts() -> None:
    found = {
        path.relative_to(PAPERS.CONFIGS).as_posix()
        for folder in FOLDERS
        for path in (PAPERS.CONFIGS / folder).glob("*.py")
    }
    known = {name for name in RECIPES if name.split("/")[0] in FOLDERS}
    assert found == known, (
        f"{sorted(found ^ known)}: say in recipes of configs/<paper>/paper.yml what each config is"
    )
    assert len(RECIPES) == len(set(RECIPES))
    for name in RECIPES:
        facts = PAPERS.facts(name)
        assert set(facts) <= CHECKS.keys() | OF_THEIR_OWN, name
        assert {"method", "epochs", "batch", "lr", "schedule", "views", "augmentations"} <= set(
            facts
        ), name


def test_a_set_of_facts_has_one_home_and_is_used() -> None:
    sets = [name for folder in PAPERS.PAPERS for name in PAPERS.paper(folder)["facts"]]
    used = {
        part
        for folder in PAPERS.PAPERS
        for parts in PAPERS.paper(folder)["recipes"].values()
        for part in parts
        if isinstance(part, str)
    }
    assert len(sets) == len(set(sets)) and set(sets) == used


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_the_papers(name: str, subtests: pytest.Subtests) -> None:
    """Built once for all that is asked of it."""
    built, facts = Built(Config.fromfile(PAPERS.CONFIGS / name)), PAPERS.facts(name)
    for check in (_check_model, _check_data, _check_views, _check_rates, _check_optimizer):
        with subtests.test(check.__name__):
            check(built, facts)


def _check_model(built: Built, facts: Mapping[str, Any]) -> None:
    for name, check in CHECKS.items():
        if name in facts:
            assert check(built, facts[name]) == facts[name], name


def _check_data(built: Built, facts: Mapping[str, Any]) -> None:
    cfg, dataset = built.cfg, built.cfg.train_dataloader.dataset
    name, split = facts["data"].split()
    assert dataset.type.removeprefix("mixssl.") == name
    assert dataset.get("split", "train") == split
    assert cfg.train_dataloader.batch_size * facts.get("devices", 1) == facts["batch"]
    assert cfg.get("auto_scale_lr", {}).get("base_batch_size", facts["batch"]) == facts["batch"]
    if "clusters" in facts:
        assert built.model.clusters.features.shape[0] == facts["images"]
    for judge in facts.get("judged", ()):
        assert judge in RECIPES or judge in PROTOCOLS, judge


def _check_views(built: Built, facts: Mapping[str, Any]) -> None:
    """Pushed through the transforms: how many, how large, and what happens to how many of them."""
    sizes = []
    for count, steps in built.views:
        key = json.dumps([repr(step) for step in steps])
        if key not in _PUSHED:
            _PUSHED[key] = pushed(steps)
        shapes, changed = _PUSHED[key]
        ((height, width, channels),) = shapes
        assert height == width and channels == 3
        sizes.append(f"{count} x {height}")
        for words, share in changed.items():
            chance = float(words.partition(" at ")[2] or 1)
            spread = (chance * (1 - chance) / IMAGES) ** 0.5
            assert share > 0 and abs(share - chance) <= 4 * spread, words
    assert sizes == facts["views"]


def _check_rates(built: Built, facts: Mapping[str, Any]) -> None:
    schedule, lr, epochs = facts["schedule"], facts["lr"], facts["epochs"]
    rates = learning_rates(built.cfg, epochs)
    for epoch in telling_epochs(schedule, epochs):
        assert rates[epoch] == pytest.approx(expected_rate(schedule, lr, epoch), rel=1e-5), epoch
    if "warmup" in schedule:
        assert rates[0] == pytest.approx(lr / schedule["warmup"])
        assert rates[1] == pytest.approx(lr), "after the warm-up"
        (part,) = (part for part in built.cfg.param_scheduler if not part.get("by_epoch"))
        assert part.end == schedule["warmup"]


def _check_optimizer(built: Built, facts: Mapping[str, Any]) -> None:
    exceptions = facts.get("exceptions", {})
    for name, group in built.groups.items():
        expected = {key: facts[key] for key in ("lr", "weight_decay")}
        for part, values in exceptions.items():
            if part in name:
                expected |= values
        assert {key: group[key] for key in expected} == pytest.approx(expected), name
    if facts.get("frozen"):
        assert all(name.startswith("head.") for name in built.groups)
        assert built.model.backbone.frozen_stages == 4 and built.model.backbone.norm_eval


def test_protocols_on_cached_features_have_the_papers_settings() -> None:
    protocols = PAPERS.paper("unmix")["protocols"]
    assert set(protocols) == {"fit_linear_probe", "weighted_knn", "majority_knn"}
    for name, expected in protocols.items():
        parameters = inspect.signature(getattr(evaluation, name)).parameters
        assert {key: parameters[key].default for key in expected} == expected, name
