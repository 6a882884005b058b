"""Plans of studies: what they ask for, and what is wrong with one in a line."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.utils import register_all_modules
from support.study import PLAN, write_plan
from support.tools import ROOT, load_tool

from mixssl.cli.benchmark import TrainStep, random_views, view_sizes
from mixssl.cli.study import NONE, Run, read_plan
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

OURS = ROOT / "configs/studies/when_to_mix.yml"


def test_an_arm_without_a_mixture_is_judged_where_it_has_cost_as_much() -> None:
    plan = read_plan(OURS)
    simclr, moco, byol = plan.work[:3]
    assert simclr.marks(simclr.arms[1]) == [40, 80, 120, 200]
    assert simclr.marks(simclr.arms[0]) == [40, 60, 80, 120, 180, 200, 300]
    assert moco.marks(moco.arms[0]) == [40, 55, 80, 110, 120, 165, 200, 275]
    assert [arm.mixture for arm in byol.arms] == [NONE, "Un-Mix"]
    for entry in plan.work:  # exactly as much
        plain = entry.arms[0]
        for arm in entry.arms[1:]:
            costs = {plain.units * epochs for epochs in entry.marks(plain)}
            assert {arm.units * epochs for epochs in entry.epochs} <= costs


def test_learning_rates_and_queues_are_those_of_the_method_for_all_its_arms() -> None:
    plan = read_plan(OURS)
    for (method, _), arm in plan.arms.items():
        assert arm.grid == plan.arms[method, NONE].grid
        assert len(arm.grid) <= 6
        for (
            entry
        ) in plan.work:  # an enqueued batch is whole, and held-out images are trained on by no run
            assert arm.grid[0].get("model.queue_len", 512) % 128 == 0
            assert entry.images + plan.search.held_out <= 50_000


@pytest.mark.parametrize("method", ["SimCLR", "MoCo", "BYOL", "W-MSE 2", "VICReg"])
def test_units_are_those_that_the_terms_of_a_step_need(method: str) -> None:
    plan, units = read_plan(OURS), load_tool("benchmarks/step_cost").units
    for (own, mixture), arm in plan.arms.items():
        if own != method:
            continue
        run = Run(arm, 2500, 0, tuple(arm.grid[0].items()))
        cfg = plan.config(run)
        cfg.merge_from_dict(
            {"model.backbone.base_channels": 2, "model.backbone.stem_channels": 2}
            | {"model.neck.in_channels": 16}
        )
        step = TrainStep(cfg, "cpu")
        assert step.model.data_preprocessor.mixer is None or mixture != NONE
        images = random_views(128, view_sizes(cfg, 8))
        assert units(step, images) == arm.units, mixture


def test_a_run_sees_its_share_of_the_images(tmp_path: Path) -> None:
    plan = read_plan(write_plan(tmp_path))
    arm = plan.arms["MoCo", "Un-Mix"]

    register_all_modules(init_default_scope=False)

    def images(dataset: Any) -> set[bytes]:
        with DefaultScope.overwrite_default_scope("mmpretrain"):
            whole = DATASETS.build(dataset)
        whole = getattr(whole, "dataset", whole)
        return {whole.get_data_info(i)["img"].tobytes() for i in range(len(whole))}

    test, held_out = (
        plan.config(Run(arm, 40, 0, tuple(arm.grid[1].items()), judged)) for judged in (False, True)
    )
    assert test.optim_wrapper.optimizer.lr == 0.1 and "knn" not in test.default_hooks
    trained = images(test.train_dataloader.dataset)
    assert len(trained) == 40
    assert images(test.knn_bank.dataset) == trained == images(held_out.knn_bank.dataset)
    query = images(held_out.knn_query.dataset)
    assert len(query) == 30 and not query & trained
    assert not images(test.knn_query.dataset) & (trained | query)
    assert Config.fromstring(test.pretty_text, ".py").to_dict() == test.to_dict()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"works": []}, "has 'works', which nothing reads, did you mean"),
        ({"work": [PLAN["work"][0] | {"mixtures": ["UnMix"]}]}, "MoCo has no arm 'UnMix'"),
        ({"work": [PLAN["work"][0] | {"if": "open"}]}, "if is 'open' in a line of work"),
        ({"search": {"images": 40}}, "search has no by, epochs, held_out, seed"),
        ({"methods": {"MoCo": {"config": "x", "search": {}, "mixtures": {}}}}, "has no none"),
    ],
)
def test_what_is_wrong_with_a_plan(tmp_path: Path, change: dict[str, Any], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        read_plan(write_plan(tmp_path, **change))


def test_epochs_that_cost_no_whole_number_of_epochs(tmp_path: Path) -> None:
    plan = yaml.safe_load(write_plan(tmp_path).read_text())
    plan["methods"]["MoCo"]["mixtures"]["Un-Mix"]["units"] = 7
    with pytest.raises(ConfigError, match=r"1 epochs of MoCo with Un-Mix cost 1\.75 without"):
        read_plan(write_plan(tmp_path, **plan))


def test_no_plan_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no plan that can be read"):
        read_plan(tmp_path / "none.yml")
