"""Every config in the tree parses, fits together and builds."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import FUNCTIONS, HOOKS, MODELS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.utils import register_all_modules

from mixssl.models.methods import MixtureMethod
from mixssl.utils.config_checks import check_config, dataset_dicts

ROOT = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if "_base_" not in path.parts and "benchmarks" not in path.parts
)


@pytest.fixture(autouse=True)
def _scope():
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def _beside_data(cfg: Config, root: Path) -> Config:
    """The same config as it would be on a machine that has the data."""
    for part in ("train", "test"):
        (root / part).mkdir(exist_ok=True)
    cfg = copy.deepcopy(cfg)
    for _, dataset in dataset_dicts(cfg):
        if "data_root" in dataset:
            dataset["data_root"] = str(root)
    return cfg


def test_there_are_configs() -> None:
    assert {"unmix/mocov2_r50_in1k.py", "unmix/moco_r18_cifar10.py"} <= set(CONFIGS)


@pytest.mark.parametrize("name", CONFIGS)
def test_config_fits_together(name: str, tmp_path: Path) -> None:
    cfg = Config.fromfile(ROOT / name)
    check_config(_beside_data(cfg, tmp_path))
    assert cfg.train_dataloader.collate_fn == {"type": "default_collate"}
    FUNCTIONS.get(cfg.train_dataloader.collate_fn["type"])
    Compose(list(cfg.train_dataloader.dataset.pipeline))
    hooks = {hook["type"] for hook in cfg.custom_hooks}
    assert "mixssl.StopOnNonFiniteLossHook" in hooks and "mixssl.GracefulStopHook" in hooks
    assert all(HOOKS.get(hook) for hook in hooks)
    assert cfg.default_scope == "mmpretrain"


@pytest.mark.parametrize("name", CONFIGS)
def test_config_builds(name: str) -> None:
    cfg = Config.fromfile(ROOT / name)
    model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
    assert isinstance(model, MixtureMethod)
    assert model.data_preprocessor._enable_normalize, "mean and std did not arrive"
    assert (model.mixer is None) == ("mixer" not in cfg.data_preprocessor)

    class Bare:
        optim_wrapper = None

    bare = Bare()
    bare.model = model
    wrapper = Runner.build_optim_wrapper(bare, copy.deepcopy(cfg.optim_wrapper))
    trained = {id(p) for group in wrapper.param_groups for p in group["params"]}
    assert {id(p) for p in model.parameters() if p.requires_grad} <= trained


def test_the_imagenet_recipe_differs_from_mmpretrains_in_the_mixture_alone() -> None:
    ours = Config.fromfile(ROOT / "unmix/mocov2_r50_in1k.py")
    base = Config.fromfile(ROOT / "_base_/mmpretrain/mocov2_r50_in1k.py")
    assert ours.data_preprocessor.pop("mixer") == {"type": "mixssl.UnMix", "alpha": 1.0, "p_global": 0.0}
    assert ours.model.pop("mix_head") == {"type": "mixssl.UnMixHead"}
    for key in base:
        assert ours[key] == base[key], key
    assert ours.model.queue_len == 65536 and ours.optim_wrapper.optimizer.lr == 0.03
    assert ours.data_preprocessor["mean"] == [123.675, 116.28, 103.53]


def test_v1_is_v2_without_mlp_and_blur() -> None:
    cfg = Config.fromfile(ROOT / "unmix/mocov1_r50_in1k.py")
    assert cfg.model.neck == {
        "type": "LinearNeck", "in_channels": 2048, "out_channels": 128, "gap_dim": 2, "norm_cfg": None
    }
    assert cfg.model.head.temperature == 0.07
    types = [step["type"] for step in cfg.train_dataloader.dataset.pipeline[1].transforms[0]]
    assert types == ["RandomResizedCrop", "RandomGrayscale", "ColorJitter", "RandomFlip"]


def test_the_cifar_recipe_is_the_papers() -> None:
    cfg = Config.fromfile(ROOT / "unmix/moco_r18_cifar10.py")
    model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
    assert model.symmetric and model.queue.shape == (128, 4096)
    assert sum(type(module).__name__ == "SplitBN" for module in model.backbone.modules()) == 20
    features = model.backbone(torch.zeros(8, 3, 32, 32))[0]
    assert features.shape == (8, 512, 4, 4)
    assert (cfg.train_dataloader.batch_size, cfg.train_cfg.max_epochs) == (512, 1000)
    assert cfg.optim_wrapper.optimizer == {"type": "SGD", "lr": 0.06, "momentum": 0.9, "weight_decay": 5e-4}
    hundred = Config.fromfile(ROOT / "unmix/moco_r18_cifar100.py")
    assert hundred.model == cfg.model
    assert hundred.train_dataloader.dataset.type == "mixssl.CIFAR100"
