"""The classifiers' configs are the paper's settings, and each takes a step."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from mmpretrain.utils import register_all_modules
from support.methods_more import run_length
from support.recipes import PIXELS, shrunk
from support.tiny import build

from mixssl.models.classifiers import AMixClassifier
from mixssl.models.necks import MixBlock, MixBlockPlus

ROOT = Path(__file__).parents[1] / "configs/amix"
CONFIGS = sorted(path.stem for path in ROOT.glob("supervised_*.py"))
SETTINGS = {
    "cifar100": (100, 800, 0.1, 100, 100),
    "tiny": (200, 400, 0.2, 100, 100),
    "cub200": (200, 200, 5e-4, 16, 16),
    "aircraft": (100, 200, 5e-4, 16, 16),
    "in1k": (1000, 300, 0.1, 25, 200),
}
"""Classes, epochs, learning rate, batch per device and in total (§4.1)."""
FAST = {"supervised_r18_tiny", "supervised_r18_automix_cifar100", "supervised_rx50_cub200"}


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def _optim_wrapper(cfg: Config, model: torch.nn.Module) -> OptimWrapper:
    """The optimizer as a runner builds it."""

    class Bare:
        optim_wrapper = None

    bare: Any = Bare()
    bare.model = model
    return Runner.build_optim_wrapper(bare, copy.deepcopy(cfg.optim_wrapper))


def _small(cfg: Config) -> dict:
    """The model, narrow, and without weights from the network."""
    model = shrunk(cfg)
    model["backbone"].pop("init_cfg", None)
    if "groups" in model["backbone"]:
        model["backbone"] |= {"groups": 2, "width_per_group": 2}
    return model


def _batch(cfg: Config, count: int = 16) -> dict:
    """A batch as the loader would give it."""
    crops = [step for step in cfg.train_dataloader.dataset.pipeline if "Crop" in step["type"]]
    size = PIXELS[crops[0].get("scale") or crops[0]["crop_size"]]
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
    return {"inputs": images, "data_samples": [DataSample().set_gt_label(i) for i in range(count)]}


def test_there_are_those_of_the_paper() -> None:
    small = {f"{net}_{data}" for net in ("r18", "rx50") for data in SETTINGS if data != "in1k"}
    large = {f"{net}_in1k" for net in ("r18", "r34", "r50", "r101")}
    amix = {f"supervised_{name}" for name in small | large}
    automix = {re.sub(r"_([^_]+)$", r"_automix_\1", name) for name in amix}
    assert set(CONFIGS) == amix | automix


@pytest.mark.parametrize("name", CONFIGS)
def test_settings_are_the_papers(name: str) -> None:
    cfg = Config.fromfile(ROOT / f"{name}.py")
    data = name.rsplit("_", 1)[1]
    classes, epochs, lr, batch, total = SETTINGS[data]
    assert (cfg.model.head.num_classes, cfg.data_preprocessor.num_classes) == (classes, classes)
    assert cfg.train_cfg.max_epochs == epochs and cfg.train_cfg.val_interval == 1
    (cosine,) = cfg.param_scheduler
    assert (cosine.type, cosine.T_max, cosine.end) == ("CosineAnnealingLR", epochs, epochs)
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.type, optimizer.lr, optimizer.momentum) == ("SGD", lr, 0.9)
    assert cfg.train_dataloader.batch_size == batch and cfg.auto_scale_lr.base_batch_size == total
    steps = [step["type"] for step in cfg.train_dataloader.dataset.pipeline]
    crop = "RandomCrop" if data == "cifar100" else "RandomResizedCrop"
    assert [step for step in steps if "Load" not in step] == [crop, "RandomFlip", "PackInputs"]
    assert dict(type="mixssl.MedianHook", metric="accuracy/top1", last=10) in cfg.custom_hooks
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        assert loader.collate_fn == {"type": "default_collate"}
        assert loader.dataset.data_root == cfg.train_dataloader.dataset.data_root
    assert cfg.val_dataloader == cfg.test_dataloader
    splits = cfg.train_dataloader.dataset.split, cfg.val_dataloader.dataset.split
    assert splits == {
        "aircraft": ("trainval", "test"),
        "tiny": ("train", "val"),
        "in1k": ("train", "val"),
    }.get(data, ("train", "test"))
    weights = cfg.model.backbone.get("init_cfg", {}).get("checkpoint", "")
    assert weights.startswith("torchvision://resn") == (data in ("cub200", "aircraft"))


@pytest.mark.parametrize("name", CONFIGS)
def test_config_builds(name: str) -> None:
    cfg = Config.fromfile(ROOT / f"{name}.py")
    model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
    assert type(model) is AMixClassifier and model.data_preprocessor._enable_normalize
    assert type(model.mix_block) is (MixBlock if "automix" in name else MixBlockPlus)
    assert not model.mix_block.adjust and model.momentum_encoder.momentum == 0.001
    size = 32 if "cifar100" in name else 64 if "tiny" in name else 224
    third = size // (4 if size < 224 else 16)
    maps = {}
    model.backbone.layer3.register_forward_hook(lambda *args: maps.update(out=args[2].shape))
    with torch.no_grad():
        assert model.eval()(torch.zeros(1, 3, size, size)).shape[1] == cfg.model.head.num_classes
    assert maps["out"] == (1, model.mix_block.in_channels, third, third)

    groups = _optim_wrapper(cfg, model).param_groups
    by_parameter = {id(p): group for group in groups for p in group["params"]}
    assert {id(p) for p in model.parameters() if p.requires_grad} <= by_parameter.keys()
    factor = 10 if name.endswith(("cub200", "aircraft")) else 1
    lr, decay = (cfg.optim_wrapper.optimizer[key] for key in ("lr", "weight_decay"))
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            group = by_parameter[id(parameter)]
            expected = lr * (factor if key.startswith("mix_block") else 1)
            assert group["lr"] == pytest.approx(expected), key
            assert group["weight_decay"] == (0 if key.endswith("lam_gamma") else decay), key


@pytest.mark.parametrize(
    ("name", "mixing"),
    [
        pytest.param(name, mixing, marks=() if mixing and name in FAST else pytest.mark.slow)
        for name in CONFIGS
        for mixing in (True, False)
    ],
)
def test_config_takes_a_step_at_small_size(name: str, mixing: bool) -> None:
    cfg = Config.fromfile(ROOT / f"{name}.py")
    model_cfg = _small(cfg) | ({} if mixing else {"mix_block": None})
    with run_length(1000):
        model = build(model_cfg)
        trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
        before = {key: value.detach().clone() for key, value in trained.items()}
        losses = model.train_step(_batch(cfg), _optim_wrapper(cfg, model))
    assert all(value.isfinite() for value in losses.values())
    of_block = {"loss_block_ce", "loss_mask_mean"}
    if mixing and "automix" not in name:
        of_block.add("loss_mask_var")
    expected = {"loss", "loss_clean", "loss_mix"} | of_block if mixing else {"loss"}
    assert losses.keys() == expected
    assert not [key for key, value in trained.items() if value.equal(before[key])]
    with torch.no_grad():
        predicted = model.eval().test_step(_batch(cfg))
    assert len(predicted) == 16 and predicted[0].pred_score.sum() == pytest.approx(1, abs=1e-4)


def test_torchvisions_weights_fit_the_fine_tuned_backbones() -> None:
    torchvision = pytest.importorskip("torchvision")
    for name, function in (("r18", "resnet18"), ("rx50", "resnext50_32x4d")):
        cfg = Config.fromfile(ROOT / f"supervised_{name}_cub200.py")
        assert cfg.model.backbone.init_cfg.checkpoint == f"torchvision://{function}"
        theirs = getattr(torchvision.models, function)().state_dict()
        ours = MODELS.build(cfg.model.backbone).state_dict()
        theirs = {key: value for key, value in theirs.items() if not key.startswith("fc.")}
        assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}
