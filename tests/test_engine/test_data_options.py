"""One option moves the views to the device, one holds the images in memory; nothing else of a config changes."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.utils import register_all_modules
from support.tools import NAME, ROOT, call_tool

from mixssl.engine.data_options import apply_data_options, augment_on_device, hold_in_memory
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
def test_device_augment_moves_the_views_of_every_recipe(name: str) -> None:
    before, cfg = _config(name), _config(name)
    cfg.device_augment = True
    apply_data_options(cfg)
    apply_data_options(cfg)  # what is done already is left alone
    step = _multi_view(before)
    views = cfg.data_preprocessor.pop("views").to_dict()
    assert views == {key: step[key] for key in ("num_views", "transforms")}
    pipeline = [s["type"] for s in cfg.train_dataloader.dataset.pipeline]
    old = [s["type"] for s in before.train_dataloader.dataset.pipeline]
    assert pipeline == [*old[:-2], "mixssl.PackImages"]
    for changed in (before, cfg):
        changed.train_dataloader.dataset.pop("pipeline")
        changed.pop("device_augment", None)
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
    cfg.in_memory = {"max_bytes": 5e9}
    apply_data_options(cfg)
    apply_data_options(cfg)
    for loader in ("train_dataloader", "knn_bank", "knn_query"):
        assert cfg[loader].dataset.to_dict() == {
            "type": "mixssl.InMemory",
            "dataset": before[loader].dataset.to_dict(),
            "max_bytes": 5e9,
        }
    assert [d["type"] for _, d in dataset_dicts(cfg)] == [
        d["type"] for _, d in dataset_dicts(before)
    ]


def test_both_options_go_together_in_either_form() -> None:
    cfg = _config("unmix/moco_r18_cifar10.py")
    assert cfg.in_memory is False and cfg.device_augment is False
    untouched = copy.deepcopy(cfg)
    apply_data_options(cfg)
    assert cfg.to_dict() == untouched.to_dict()
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
in_memory = True
device_augment = True
default_hooks = dict(checkpoint=dict(interval=3, by_epoch=False, max_keep_ckpts=-1), logger=dict(interval=1))
custom_hooks = [dict(type='mixssl.WholeCheckpointHook'), dict(type='mixssl.ExactResumeHook')]
randomness = dict(seed=3)
{name}
"""


def test_a_run_with_data_workers_resumes_exactly(tmp_path: Path) -> None:
    """Which it does not with views by the workers, whose random numbers begin anew."""
    base = ROOT / "configs/demo/unmix_mocov2_r18_digits.py"
    config = tmp_path / "run.py"
    config.write_text(RUN.format(base=str(base), name=NAME))
    for name, more in (("whole", []), ("resumed", ["--resume", tmp_path / "whole/iter_3.pth"])):
        assert call_tool("train", config, "--work-dir", tmp_path / name, *more) == 0
    runs = [
        torch.load(tmp_path / name / "iter_6.pth", weights_only=False)["state_dict"]
        for name in ("whole", "resumed")
    ]
    assert runs[0]["data_preprocessor.views.random.step"] == 96
    assert runs[0].keys() == runs[1].keys()
    assert all(value.equal(runs[1][key]) for key, value in runs[0].items())
