"""Flags for speed write plain values, with which any runner builds what tools/train.py builds."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.utils import register_all_modules
from support.tools import NAME, ROOT, call_tool, write_tiny

from mixssl.cli.speed import augment_on_device, hold_in_memory, use_amp
from mixssl.utils.config_checks import dataset_dicts
from mixssl.utils.errors import ConfigError

CONFIGS = [
    "unmix/moco_r18_cifar10.py",
    "unmix/moco_r18_cifar100.py",
    "unmix/byol_r18_cifar10.py",
    "unmix/simclr_r18_stl10.py",
    "mixco/mocov2_r18_tiny.py",
    "unmix/mocov2_r50_in1k.py",
    "unmix/swav_r50_in1k.py",
]


def _config(name: str) -> Config:
    return Config.fromfile(ROOT / "configs" / name)


def _multi_view(cfg: Config) -> dict[str, Any]:
    (step,) = (s for s in cfg.train_dataloader.dataset.pipeline if s["type"].endswith("MultiView"))
    return step.to_dict()


@pytest.mark.parametrize("name", CONFIGS)
def test_device_views_moves_the_views_of_every_recipe(name: str) -> None:
    before, cfg = _config(name), _config(name)
    augment_on_device(cfg)
    augment_on_device(cfg)  # what is done already is left alone
    step = _multi_view(before)
    views = cfg.data_preprocessor.pop("views").to_dict()
    assert views == {key: step[key] for key in ("num_views", "transforms")}
    pipeline = [s["type"] for s in cfg.train_dataloader.dataset.pipeline]
    old = [s["type"] for s in before.train_dataloader.dataset.pipeline]
    assert pipeline == [*old[:-2], "mixssl.PackImages"]
    for changed in (before, cfg):
        changed.train_dataloader.dataset.pop("pipeline")
    assert cfg.to_dict() == before.to_dict()


def test_the_model_then_makes_the_views() -> None:
    cfg = _config("unmix/moco_r18_cifar10.py")
    augment_on_device(cfg)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        register_all_modules(init_default_scope=False)
        preprocessor = MODELS.build(cfg.data_preprocessor)
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    out = preprocessor({"inputs": images}, training=True)
    assert [view.shape for view in out["inputs"]] == [(4, 3, 32, 32)] * 2
    assert out["mixtures"]


@pytest.mark.parametrize("name", CONFIGS[:5])
def test_in_memory_wraps_training_and_monitor_alone(name: str) -> None:
    before, cfg = _config(name), _config(name)
    hold_in_memory(cfg)
    hold_in_memory(cfg)
    for loader in ("train_dataloader", "knn_bank", "knn_query"):
        assert cfg[loader].dataset.to_dict() == {
            "type": "mixssl.InMemory",
            "dataset": before[loader].dataset.to_dict(),
        }
    assert [d["type"] for _, d in dataset_dicts(cfg)] == [
        d["type"] for _, d in dataset_dicts(before)
    ]


def test_both_flags_go_together() -> None:
    cfg = _config("unmix/moco_r18_cifar10.py")
    hold_in_memory(cfg)
    augment_on_device(cfg)
    inner = cfg.train_dataloader.dataset.dataset
    assert [s["type"] for s in inner.pipeline] == ["mixssl.PackImages"]


def test_data_sets_inside_wrappers_are_found() -> None:
    cfg = _config("unmix/moco_r18_cifar10.py")
    dataset = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = {
        "type": "ConcatDataset",
        "datasets": [copy.deepcopy(dataset), copy.deepcopy(dataset)],
    }
    hold_in_memory(cfg)
    augment_on_device(cfg)
    kinds = [d["type"] for d in cfg.train_dataloader.dataset.datasets]
    assert kinds == ["mixssl.InMemory"] * 2
    other = cfg.train_dataloader.dataset.datasets[1].dataset
    cfg.data_preprocessor.pop("views")
    for part, views in zip(cfg.train_dataloader.dataset.datasets, (2, 3), strict=True):
        step = {"type": "MultiView", "num_views": views, "transforms": [[]]}
        part.dataset.pipeline = [step, {"type": "PackInputs"}]
    with pytest.raises(ConfigError, match="2 data sets with views of their own"):
        augment_on_device(cfg)
    assert other["type"] == "mixssl.CIFAR10"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"data_preprocessor.type": "SelfSupDataPreprocessor"},
            "InstanceMixDataPreprocessor.*'SelfSupDataPreprocessor'",
        ),
        ({"train_dataloader.dataset.pipeline": [{"type": "PackInputs"}]}, "ends with PackInputs"),
        (
            {
                "train_dataloader.dataset.pipeline": [
                    {"type": "MultiView", "num_views": 2, "transforms": [[{"type": "Posterize"}]]},
                    {"type": "PackInputs"},
                ]
            },
            "Posterize has no form that runs on the device",
        ),
    ],
)
def test_what_can_not_move_is_refused(options: dict, reason: str) -> None:
    cfg = _config("unmix/moco_r18_cifar10.py")
    for key, value in options.items():
        cfg.merge_from_dict({key: value})
    with pytest.raises(ConfigError, match=reason):
        augment_on_device(cfg)


def test_digits_say_what_keeps_them_on_the_cpu() -> None:
    cfg = _config("demo/unmix_mocov2_r18_digits.py")
    with pytest.raises(ConfigError, match="NumpyToPIL has no form"):
        augment_on_device(cfg)


SGD = {"type": "SGD", "lr": 0.1}


@pytest.mark.parametrize("before", [{}, {"type": "AmpOptimWrapper", "loss_scale": "dynamic"}])
def test_amp_scales_losses_where_it_must(before: dict) -> None:
    cfg = Config({"optim_wrapper": {"type": "OptimWrapper", "optimizer": SGD} | before})
    use_amp(cfg, "float16")
    scaled = {"type": "AmpOptimWrapper", "dtype": "float16", "loss_scale": "dynamic"}
    assert cfg.optim_wrapper.to_dict() == {"optimizer": SGD, **scaled}
    for _ in range(2):
        use_amp(cfg, "bfloat16")
        unscaled = {"optimizer": SGD, "type": "mixssl.BFloat16OptimWrapper"}
        assert cfg.optim_wrapper.to_dict() == unscaled


def test_amp_leaves_other_wrappers_than_those_of_one_optimizer_alone() -> None:
    cfg = Config({"optim_wrapper": {"type": "ApexOptimWrapper", "optimizer": SGD}})
    with pytest.raises(ConfigError, match="the config has 'ApexOptimWrapper'"):
        use_amp(cfg, "bfloat16")


# -- through tools/train.py -------------------------------------------------------------------------------------------

RUN = """
_base_ = [{base!r}]
view_pipeline = [
    dict(type='RandomResizedCrop', scale=16, crop_ratio_range=(0.5, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4),
]
model = dict(
    queue_len=64, feat_dim=8, backbone=dict(stem_channels=4, base_channels=4),
    neck=dict(in_channels=32, hid_channels=8, out_channels=8))
train_dataloader = dict(
    batch_size=16, num_workers=1,
    dataset=dict(indices=96, pipeline=[
        dict(type='MultiView', num_views=2, transforms=[view_pipeline]), dict(type='PackInputs')]))
train_cfg = dict(max_epochs=1)
default_hooks = dict(
    checkpoint=dict(interval=3, by_epoch=False, max_keep_ckpts=-1), logger=dict(interval=1))
randomness = dict(seed=3)
{name}
"""


def test_a_run_with_data_workers_resumes_exactly(tmp_path: Path) -> None:
    """Which it does not with views by the workers, whose random numbers begin anew."""
    base = ROOT / "configs/demo/unmix_mocov2_r18_digits.py"
    config = tmp_path / "run.py"
    config.write_text(RUN.format(base=str(base), name=NAME))
    for name, more in (("whole", []), ("resumed", ["--resume", tmp_path / "whole/iter_3.pth"])):
        flags = ["--device-views", "--in-memory", *more]
        assert call_tool("train", config, "--work-dir", tmp_path / name, *flags) == 0
    runs = [
        torch.load(tmp_path / name / "iter_6.pth", weights_only=False)["state_dict"]
        for name in ("whole", "resumed")
    ]
    assert runs[0]["data_preprocessor.views.random.step"] == 96
    assert runs[0].keys() == runs[1].keys()
    assert all(value.equal(runs[1][key]) for key, value in runs[0].items())


def _losses(folder: Path, *flags: str) -> list[float]:
    """Of an epoch by tools/train.py."""
    config = write_tiny(folder, epochs=1)
    assert call_tool("train", config, "--work-dir", folder, "--no-validate", *flags) == 0
    saved = torch.load(folder / "epoch_1.pth", weights_only=False)
    return saved["message_hub"]["log_scalars"]["train/loss"].data[0].tolist()


def test_a_run_with_options_is_the_run_without_but_for_rounding(tmp_path: Path) -> None:
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    found, plain = _losses(tmp_path / "with", *OPTIONS["model"]), _losses(tmp_path / "without")
    assert len(found) == len(plain) == 10
    assert found == pytest.approx(plain, rel=1e-3) and found[0] == pytest.approx(plain[0], rel=1e-5)


OPTIONS = {
    "plain": [],
    "flags": ["--amp", "bfloat16", "--device-views", "--in-memory"],
    "model": [
        "--cfg-options",
        *("model.channels_last=True", "model.checkpoint_backbone=True"),
        "optim_wrapper.optimizer.fused=True",
    ],
    "compiled": ["--cfg-options", "model.compile_encoders={'backend': 'eager'}"],
}


def _built(runner: Runner) -> dict[str, Any]:
    """What the options change of what a runner builds."""
    model, dataset = runner.model, runner.build_dataloader(runner._train_dataloader).dataset
    wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    encoders = (model.backbone, model.backbone.layer1[0], *model.encoder_k.module)
    return {
        "strides": [value.stride() for value in model.parameters()],
        "forwards": [type(module.__dict__.get("forward")).__name__ for module in encoders],
        "wrapper": type(wrapper).__name__,
        "fused": wrapper.optimizer.defaults.get("fused"),
        "views": model.data_preprocessor.views is not None,
        "dataset": type(dataset).__name__,
        "transforms": [type(step).__name__ for step in dataset.pipeline.transforms],
    }


def test_any_runner_builds_what_tools_train_builds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the config that tools/train.py leaves in its work directory, without any of our tools."""
    base = ROOT / "configs/demo/unmix_mocov2_r18_digits.py"
    config, found = tmp_path / "run.py", {}
    config.write_text(RUN.format(base=str(base), name=NAME))
    runners: list[Runner] = []
    monkeypatch.setattr(Runner, "train", lambda runner: runners.append(runner))
    for name, flags in OPTIONS.items():
        folder = tmp_path / name
        assert call_tool("train", config, "--work-dir", folder, *flags) == 0
        cfg = Config.fromfile(folder / "run.py")
        cfg.experiment_name = f"{name} by mmengine"
        found[name] = _built(runners.pop())
        assert _built(Runner.from_cfg(cfg)) == found[name]
    changed = {
        name: {key for key, value in built.items() if value != found["plain"][key]}
        for name, built in found.items()
    }
    assert changed == {
        "plain": set(),
        "flags": {"wrapper", "views", "dataset", "transforms"},
        "model": {"strides", "forwards", "fused"},
        "compiled": {"forwards"},
    }
