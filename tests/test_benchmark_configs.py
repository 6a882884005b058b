"""Every protocol in configs/benchmarks that classifies is the published one, starts from whole weights, and trains."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from mmpretrain.utils import register_all_modules
from support.tools import NAME, call_tool

from mixssl.utils.config_checks import check_config, dataset_dicts
from mixssl.utils.errors import ConfigError

ROOT = Path(__file__).parents[1] / "configs"
BENCHMARKS = ROOT / "benchmarks"
CONFIGS = sorted(
    path.relative_to(BENCHMARKS).as_posix()
    for folder in ("linear", "semi", "finetune")
    for path in (BENCHMARKS / folder).glob("*.py")
)
THIN = ("embed_dims", "num_layers", "num_heads", "feedforward_channels")
LINEAR = [name for name in CONFIGS if name.startswith("linear/")]
PRE_TRAINED_WITH = [
    ("linear/r18_mixco_tiny.py", "mixco/mocov2_r18_tiny.py"),
    ("linear/r18_mixco_tiny.py", "mixco/simclr_r18_tiny.py"),
    ("linear/r18_mixco_cifar10.py", "mixco/simclr_r18_tiny.py"),
    ("linear/r18_mixco_cifar100.py", "mixco/simclr_r18_tiny.py"),
    ("linear/r50_mixco_cifar10.py", "mixco/mocov2_r50_tiny.py"),
    ("linear/r34_mixco_cifar100.py", "mixco/mocov2_r34_tiny.py"),
    ("linear/r18_amix_tiny.py", "amix/mocov2_r18_tiny.py"),
    ("linear/r18_amix_stl10.py", "amix/mocov2_r18_stl10.py"),
    ("linear/r50_in1k.py", "unmix/mocov2_r50_in1k.py"),
    ("semi/r18_10pct_cifar10.py", "unmix/moco_r18_cifar10.py"),
    ("finetune/vit_t2_cifar10.py", "mocov3/vit_t2_cifar10.py"),
]
"""A protocol and a pre-training whose backbone it judges."""


@pytest.fixture(autouse=True)
def _scope():
    MMLogger.get_current_instance().setLevel("ERROR")
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def narrow(cfg: Config) -> Config:
    """The same model with a sixteenth of the channels, or a transformer of two thin layers."""
    cfg = copy.deepcopy(cfg)
    if "arch" in cfg.model.backbone:
        cfg.model.backbone.arch = dict(zip(THIN, (12, 2, 3, 24), strict=True))
        cfg.model.head.in_channels = 12
        return cfg
    cfg.model.backbone.update(base_channels=4, stem_channels=4)
    cfg.model.head.in_channels //= 16
    return cfg


def weights_for(cfg: Config, folder: Path) -> tuple[str, dict[str, torch.Tensor]]:
    """A file as pre-training writes it, and the backbone's tensors in it."""
    torch.manual_seed(7)
    model = MODELS.build(cfg.model.backbone | {"frozen_stages": -1})
    model.init_weights()
    # Nothing is where a fresh model has it.
    state = {
        name: value * 1.1 + 0.01 if value.is_floating_point() else value + 5
        for name, value in model.state_dict().items()
    }
    whole = {f"backbone.{name}": value for name, value in state.items()} | {"queue": torch.ones(2)}
    torch.save({"state_dict": whole}, folder / "pretrained.pth")
    return str(folder / "pretrained.pth"), state


def started(cfg: Config, path: str) -> Any:
    cfg.model.init_cfg.checkpoint = path
    model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
    model.init_weights()
    return revert_sync_batchnorm(model)  # as a runner does on one process


def step(cfg: Config, model: Any) -> None:
    """A step as the runner takes it, on noise."""

    class Bare:
        optim_wrapper = None

    bare: Any = Bare()
    bare.model = model
    wrapper = Runner.build_optim_wrapper(bare, copy.deepcopy(cfg.optim_wrapper))
    samples = [DataSample().set_gt_label(label) for label in (0, 1, 2, 1)]
    images = torch.randint(0, 255, (4, 3, 32, 32), dtype=torch.uint8)
    model.train().train_step({"inputs": images, "data_samples": samples}, wrapper)


def test_there_are_configs() -> None:
    assert {"linear/r50_in1k.py", "semi/r50_1pct_in1k.py", "finetune/r50_cub200.py"} <= set(CONFIGS)


def test_configs_fit_together(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name in CONFIGS:
        with subtests.test(name):
            _check_parts(name, tmp_path)


def _check_parts(name: str, tmp_path: Path) -> None:
    cfg = Config.fromfile(BENCHMARKS / name)
    for part in ("train", "test", "val", "images", "data/images"):
        (tmp_path / part).mkdir(exist_ok=True, parents=True)
    for _, dataset in dataset_dicts(cfg):
        dataset["data_root"] = str(tmp_path)
    with pytest.raises(ConfigError, match="checkpoint is not set"):
        check_config(cfg)
    cfg.model.init_cfg.checkpoint = "random"
    check_config(cfg)
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        inner = loader.dataset.get("dataset", loader.dataset)
        Compose(list(inner.pipeline))
        with DATASETS.switch_scope_and_registry("mmpretrain") as registry:
            assert registry.get(inner.type) is not None
        assert loader.collate_fn == {"type": "default_collate"}


@pytest.mark.parametrize("name", CONFIGS)
def test_weights_arrive_whole_and_what_is_frozen_stays(name: str, tmp_path: Path) -> None:
    cfg = narrow(Config.fromfile(BENCHMARKS / name))
    path, expected = weights_for(cfg, tmp_path)
    model = started(cfg, path)
    found = model.backbone.state_dict()
    assert found.keys() == expected.keys()
    assert all(value.equal(expected[key]) for key, value in found.items())
    (layer,) = (m for m in model.head.modules() if isinstance(m, torch.nn.Linear))
    head = layer.weight.detach().clone()
    step(cfg, model)
    moved = {
        key for key, value in model.backbone.state_dict().items() if not value.equal(expected[key])
    }
    if name in LINEAR:
        assert not moved, "weights and statistics stay"
        assert not any(p.requires_grad for p in model.backbone.parameters())
    elif "vit" in name:
        assert {"patch_embed.projection.weight", "layers.1.attn.qkv.weight"} <= moved
        assert "pos_embed" not in moved
    else:
        assert {"conv1.weight", "bn1.running_mean"} <= moved
    assert not layer.weight.equal(head)
    assert model.head.num_classes == cfg.data_preprocessor.get("num_classes", 1000)


def test_another_backbone_is_refused(tmp_path: Path) -> None:
    cfg = narrow(Config.fromfile(BENCHMARKS / "linear/r18_mixco_tiny.py"))
    path, _ = weights_for(
        narrow(Config.fromfile(BENCHMARKS / "linear/r34_mixco_tiny.py")), tmp_path
    )
    with pytest.raises(ConfigError, match="unexpected") as error:
        started(cfg, path)
    assert "\n" not in str(error.value)


def test_a_benchmark_sees_images_as_its_pre_training_did(subtests: pytest.Subtests) -> None:
    for name, source in PRE_TRAINED_WITH:
        with subtests.test(f"{name}: {source}"):
            _check_backbone(name, source)


def _check_backbone(name: str, source: str) -> None:
    judged, trained = Config.fromfile(BENCHMARKS / name), Config.fromfile(ROOT / source)
    for key in ("mean", "std", "to_rgb"):
        assert judged.data_preprocessor[key] == trained.data_preprocessor[key], key
    ours, theirs = (
        MODELS.build({**cfg.model.backbone, "frozen_stages": -1}).state_dict()
        for cfg in (judged, trained)
    )
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


def _published(name: str) -> list[str]:
    """Figures in the header of a protocol's config."""
    head = (BENCHMARKS / name).read_text().partition("_base_")[0]
    figures = [word.strip(".,;") for word in head.split() if word.strip(".,;").count(".") == 1]
    return [figure for figure in figures if figure.replace(".", "").isdigit()]


def test_published_figures_are_those_of_the_pre_training_configs() -> None:
    for name in dict.fromkeys(name for name, _ in PRE_TRAINED_WITH):
        if name.startswith("semi") or "cifar" in name:
            continue
        theirs = "".join((ROOT / source).read_text() for n, source in PRE_TRAINED_WITH if n == name)
        assert len(_published(name)) >= 2, name
        assert all(number in theirs for number in _published(name)), name


def test_mixcos_page_has_the_figures_of_its_transfer() -> None:
    """Table 1 of MixCo: two data sets, four backbones, with and without."""
    page = (ROOT / "mixco/README.md").read_text()
    found = [number for name in LINEAR if "mixco_cifar" in name for number in _published(name)]
    assert len(found) == 16
    assert all(f"| {number} |" in page for number in found)


def test_few_labels_learn_at_two_rates() -> None:
    for percent, rates in ((1, (0.02, 5.0)), (10, (0.01, 0.2))):
        cfg = narrow(Config.fromfile(BENCHMARKS / f"semi/r50_{percent}pct_in1k.py"))
        optimizer, keys = cfg.optim_wrapper.optimizer, cfg.optim_wrapper.paramwise_cfg.custom_keys
        assert (optimizer.lr, optimizer.lr * keys["head."].lr_mult) == pytest.approx(rates)
        dataset = cfg.train_dataloader.dataset
        assert dataset.type == "mixssl.ListedSubset"
        assert dataset.list_file.endswith(f"{percent}percent.txt")


RUN = """
_base_ = [{model!r}, {protocol!r}]
data_preprocessor = dict(type='ClsDataPreprocessor', mean=[79.7] * 3, std=[90.5] * 3, to_rgb=True)
train_dataloader = dict(
    batch_size=20, num_workers=0, drop_last=True, collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mixssl.ClassBalancedSubset', fraction=0.05,
        dataset=dict(type='mixssl.Digits', pipeline=[dict(type='PackInputs')])))
val_dataloader = dict(
    batch_size=20, num_workers=0, collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mixssl.Digits', split='test', indices=40, pipeline=[dict(type='PackInputs')]))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1, 5))
model = dict(
    backbone=dict(type='ResNet_CIFAR', base_channels=4, stem_channels=4),
    head=dict(in_channels=32, num_classes=10))
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=1))
{name}
"""


def test_a_linear_run_from_the_command_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "linear.py"
    bases = {
        "model": str(ROOT / "_base_/models/linear_r18.py"),
        "protocol": str(ROOT / "_base_/protocols/linear.py"),
    }
    config.write_text(RUN.format(**bases, name=NAME))
    path, expected = weights_for(Config.fromfile(config), tmp_path)
    work = ["--work-dir", tmp_path / "run"]
    assert call_tool("train", config, *work) == 2
    assert "checkpoint is not set" in capfd.readouterr().err
    assert (
        call_tool("train", config, *work, "--cfg-options", f"model.init_cfg.checkpoint={path}") == 0
    )
    said = capfd.readouterr()
    assert f"all {len(expected)} tensors are in the" in said.out + said.err
    (best,) = (tmp_path / "run").glob("best_accuracy_top1_epoch_*.pth")
    saved = torch.load(best, weights_only=False)["state_dict"]
    assert all(saved[f"backbone.{key}"].equal(value) for key, value in expected.items())
    assert saved["head.fc.weight"].abs().sum() > 0
    assert call_tool("test", config, best, *work) == 0
