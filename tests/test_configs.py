"""Every config in the tree parses, fits together and builds."""

from __future__ import annotations

import ast
import copy
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hub import get_config
from mmengine.optim import OptimWrapper
from mmengine.registry import FUNCTIONS, HOOKS, MODELS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.utils import register_all_modules
from support.clusters import start
from support.methods_more import run_length
from support.recipes import random_batch, shrunk
from support.tiny import build

from mixssl.models.methods import MixtureMethod
from mixssl.utils.config_checks import check_config, dataset_dicts

ROOT = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if "_base_" not in path.parts and "benchmarks" not in path.parts
)
METHODS = [name for name in CONFIGS if not Path(name).name.startswith("supervised_")]
"""Those of the classifiers have their own tests, in test_supervised_configs.py."""
ONE_OF_EACH_KIND = {
    "amix/amixc_mocov2_r50_stl10.py",
    "amix/mocov2_r18_tiny.py",
    "local_global/moco_r18_inter_cifar10.py",
    "local_global/moco_r18_intra_cifar10.py",
    "mixco/mocov2_r18_tiny.py",
    "mixco/simclr_r18_tiny.py",
    "unmix/byol_r18_cifar10.py",
    "unmix/mocov2_r50_multiscale_in1k.py",
    "unmix/simclr_r18_both_stl10.py",
    "unmix/swav_r50_in1k.py",
    "unmix/wmse4_r18_tiny.py",
}


@pytest.fixture(autouse=True)
def _scope():
    register_all_modules(init_default_scope=False)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def _beside_data(cfg: Config, root: Path) -> Config:
    """The same config as it would be on a machine that has the data."""
    for part in ("train", "val", "test"):
        (root / part).mkdir(exist_ok=True)
    cfg = copy.deepcopy(cfg)
    for _, dataset in dataset_dicts(cfg):
        if "data_root" in dataset:
            dataset["data_root"] = str(root)
    return cfg


def test_there_are_configs() -> None:
    assert {"unmix/mocov2_r50_in1k.py", "unmix/moco_r18_cifar10.py"} <= set(CONFIGS)
    assert set(CONFIGS) >= ONE_OF_EACH_KIND


@pytest.mark.parametrize("name", CONFIGS)
def test_config_fits_together(name: str, tmp_path: Path) -> None:
    cfg = Config.fromfile(ROOT / name)
    check_config(_beside_data(cfg, tmp_path))
    assert cfg.train_dataloader.collate_fn == {"type": "default_collate"}
    FUNCTIONS.get(cfg.train_dataloader.collate_fn["type"])
    Compose(list(cfg.train_dataloader.dataset.pipeline))
    hooks = {hook["type"] for hook in cfg.custom_hooks}
    assert "mixssl.StopOnNonFiniteLossHook" in hooks and "mixssl.GracefulStopHook" in hooks
    with HOOKS.switch_scope_and_registry(cfg.default_scope) as registry:
        assert all(registry.get(hook) for hook in hooks)
    assert cfg.default_scope == "mmpretrain"


@pytest.mark.parametrize("name", METHODS)
def test_config_builds(name: str) -> None:
    cfg = Config.fromfile(ROOT / name)
    model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
    assert isinstance(model, MixtureMethod)
    assert model.data_preprocessor._enable_normalize, "mean and std did not arrive"
    assert (model.mixer is None) == ("mixer" not in cfg.data_preprocessor)

    wrapper = _optim_wrapper(cfg, model)
    trained = {id(p) for group in wrapper.param_groups for p in group["params"]}
    assert {id(p) for p in model.parameters() if p.requires_grad} <= trained


def _optim_wrapper(cfg: Config, model: torch.nn.Module) -> OptimWrapper:
    """The optimizer as a runner builds it."""

    class Bare:
        optim_wrapper = None

    bare = Bare()
    bare.model = model
    return Runner.build_optim_wrapper(bare, copy.deepcopy(cfg.optim_wrapper))


STEPS = [
    pytest.param(
        name,
        mixing,
        id=f"{name}-{'mixing' if mixing else 'baseline'}",
        marks=() if mixing and name in ONE_OF_EACH_KIND else pytest.mark.slow,
    )
    for name in METHODS
    for mixing in (True, False)
]


@pytest.mark.parametrize(("name", "mixing"), STEPS)
def test_config_takes_a_step_at_small_size(name: str, mixing: bool) -> None:
    cfg = Config.fromfile(ROOT / name)
    if not mixing:
        cfg.merge_from_dict({"data_preprocessor.mixer": None})
    with run_length(1000):
        model = build(shrunk(cfg))
        start(model)
        before = {
            key: value.detach().clone()
            for key, value in model.named_parameters()
            if value.requires_grad
        }
        losses = model.train_step(random_batch(cfg), _optim_wrapper(cfg, model))
    assert all(value.isfinite() for value in losses.values())
    plain = {"loss", "loss_clean"}
    assert losses.keys() > plain if model.mixer is not None else losses.keys() == plain
    still = {
        key
        for key, value in model.named_parameters()
        if value.requires_grad and value.equal(before[key])
    }
    assert not still


def test_the_imagenet_recipe_differs_from_mmpretrains_in_the_mixture_alone() -> None:
    ours = Config.fromfile(ROOT / "unmix/mocov2_r50_in1k.py")
    base = Config.fromfile(ROOT / "_base_/mmpretrain/mocov2_r50_in1k.py")
    assert ours.data_preprocessor.pop("mixer") == {
        "type": "mixssl.UnMix",
        "alpha": 1.0,
        "p_global": 0.0,
    }
    assert ours.model.pop("mix_head") == {"type": "mixssl.UnMixHead"}
    for key in base:
        assert ours[key] == base[key], key
    assert ours.model.queue_len == 65536 and ours.optim_wrapper.optimizer.lr == 0.03
    assert ours.data_preprocessor["mean"] == [123.675, 116.28, 103.53]


def test_v1_is_v2_without_mlp_and_blur() -> None:
    cfg = Config.fromfile(ROOT / "unmix/mocov1_r50_in1k.py")
    assert cfg.model.neck == {
        "type": "LinearNeck",
        "in_channels": 2048,
        "out_channels": 128,
        "gap_dim": 2,
        "norm_cfg": None,
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
    assert cfg.optim_wrapper.optimizer == {
        "type": "SGD",
        "lr": 0.06,
        "momentum": 0.9,
        "weight_decay": 5e-4,
    }
    hundred = Config.fromfile(ROOT / "unmix/moco_r18_cifar100.py")
    assert hundred.model == cfg.model
    assert hundred.train_dataloader.dataset.type == "mixssl.CIFAR100"


@pytest.mark.parametrize(
    "name",
    [
        "unmix/moco_r18_asymmetric_cifar10.py",
        "unmix/moco_r18_asymmetric_cifar100.py",
        "local_global/moco_r18_unmix_cifar10.py",
    ],
)
def test_asymmetric_moco_meets_the_key_of_view_1_alone(name: str) -> None:
    cfg = Config.fromfile(ROOT / name)
    model = build(shrunk(cfg))
    data = model.data_preprocessor(random_batch(cfg), True)
    terms = model.step_terms(model.settle(data["mixtures"], None), 2)
    assert {(term.online.view, term.target.view) for term in terms} == {(0, 1), (2, 1)}
    symmetric = Config.fromfile(ROOT / f"unmix/moco_r18_{name.rpartition('_')[2]}")
    optimizer = {"lr": 3e-3, "weight_decay": 1e-4} if name.startswith("local") else {}
    assert cfg.optim_wrapper.optimizer == symmetric.optim_wrapper.optimizer | optimizer
    assert cfg.train_dataloader == symmetric.train_dataloader


def test_cutmix_on_moco_has_the_printed_form_as_an_option() -> None:
    cfg = Config.fromfile(ROOT / "local_global/moco_r18_cutmix_cifar10.py")
    shares = []
    for printed in (False, True):
        cfg.model.mix_head.reverse_mixed = not printed
        model = build(shrunk(cfg))
        data = model.data_preprocessor(random_batch(cfg), True)
        mixed = [term for term in model.step_terms(data["mixtures"], 2) if term.online.view == 2]
        assert {term.target.view for term in mixed} == {1}
        shares.append([term.weight for term in mixed])
    (normal, reverse), (alone,) = shares
    assert torch.allclose(normal + reverse, torch.ones(16)) and torch.equal(alone, normal)


READINGS = [
    ("amix/mocov2_r18_stl10.py", "eq. 5 prints one", {"model.mix_block.shared_projection": True}),
    ("amix/mocov2_r18_stl10.py", "image j's from the key's", {}),
    ("amix/mocov2_r18_stl10.py", "85.44 with BCE", {"model.mix_head.block": ("contrast",)}),
    ("amix/amixc_mocov2_r18_stl10.py", "85.60 with BCE", {"model.mix_head.block": ("cluster",)}),
    ("amix/amixc_mocov2_r18_stl10.py", "leaves", {"model.clusters.detach": True}),
    ("amix/README.md", "The code lets it go to 0", {}),
    ("amix/README.md", "is stated for classifiers", {}),
    ("mixco/mocov2_r18_tiny.py", "ImageNet's statistics and 224 pixels", {"model.joint_bn": False}),
    ("unmix/mocov2_r50_in1k.py", "run.sh says 0.5", {"data_preprocessor.mixer.p_global": 0.5}),
    ("unmix/moco_r18_cifar100.py", "takes CIFAR-10's", {"data_preprocessor.mean": [125.3] * 3}),
    *(
        (f"unmix/wmse4_r18_{data}.py", "README of W-MSE", {"train_dataloader.batch_size": 512})
        for data in ("cifar10", "cifar100", "stl10", "tiny")
    ),
    ("local_global/moco_r18_cutmix_cifar10.py", "alone", {"model.mix_head.reverse_mixed": False}),
]
"""Where paper and code, or two places of a paper, leave more than one reading: where that is said, a word of it, and
the option that the other reading is."""


@pytest.mark.parametrize(
    ("name", "said", "other"), READINGS, ids=[f"{name}-{said}" for name, said, _ in READINGS]
)
def test_a_reading_is_named_where_the_recipe_is(name: str, said: str, other: dict) -> None:
    assert said in " ".join((ROOT / name).read_text().replace("\n# ", " ").split())
    if other:
        cfg = Config.fromfile(ROOT / name)
        before = copy.deepcopy(cfg)
        cfg.merge_from_dict(other)
        assert cfg != before
        with run_length(1000):
            build(shrunk(cfg))


def test_the_small_recipes_are_those_of_the_papers_protocol() -> None:
    for method, batch in (("simclr", 512), ("byol", 512), ("wmse2", 512), ("wmse4", 256)):
        for data, lr, epochs, size, dim in (
            ("cifar10", 3e-3, 1000, 32, 64),
            ("cifar100", 3e-3, 1000, 32, 64),
            ("stl10", 2e-3, 2000, 64, 128),
            ("tiny", 2e-3, 1000, 64, 128),
        ):
            cfg = Config.fromfile(ROOT / f"unmix/{method}_r18_{data}.py")
            assert cfg.optim_wrapper.optimizer == {"type": "Adam", "lr": lr, "weight_decay": 1e-6}
            warm_up, drops = cfg.param_scheduler
            assert (warm_up.end, warm_up.by_epoch) == (500, False)
            assert (drops.milestones, drops.gamma) == ([epochs - 50, epochs - 25], 0.2)
            assert (cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size) == (epochs, batch)
            assert (cfg.model.neck.hid_channels, cfg.model.neck.out_channels) == (1024, dim)
            (multi,) = (
                step for step in cfg.train_dataloader.dataset.pipeline if step.type == "MultiView"
            )
            assert multi.num_views == (4 if method == "wmse4" else 2)
            jitter, gray, crop, flip = multi.transforms[0]
            assert (jitter.prob, gray.prob, flip.prob) == (0.8, 0.1, 0.5)
            assert (crop.scale, crop.crop_ratio_range) == (size, (0.2, 1.0))
            if method.startswith("wmse"):
                assert cfg.model.w_size == (128 if size == 32 else 256)
                assert cfg.model.w_iter == (4 if method == "wmse2" and size == 64 else 1)
            mixer = {"type": "mixssl.UnMix", "alpha": 1.0, "p_global": 0.5}
            assert cfg.data_preprocessor.mixer == mixer


def test_mixing_both_branches_changes_the_mixture_alone() -> None:
    for path in sorted((ROOT / "unmix").glob("*_both_*.py")):
        both, single = Config.fromfile(path), Config.fromfile(str(path).replace("_both", ""))
        assert both.data_preprocessor.mixer.pop("views") == (0, 1)
        assert both.model.mix_head.pop("pairing") == "mixed"
        single.model.mix_head.pop("pairing", None)
        assert both.to_dict() == single.to_dict()


def test_swav_is_mmpretrains_with_our_hooks() -> None:
    ours = Config.fromfile(ROOT / "_base_/mmpretrain/swav_r50_in1k.py")
    theirs = get_config("mmpretrain::swav/swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py")
    ours_model, model = ours.model.to_dict(), theirs.model.to_dict()
    model.pop("data_preprocessor")
    assert ours_model.pop("type") == "mixssl.MixSwAV" and model.pop("type") == "SwAV"
    assert ours_model == model
    runtime = Config.fromfile(ROOT / "_base_/runtime.py")
    assert [hook.to_dict() for hook in ours.custom_hooks[1:]] == [
        hook.to_dict() for hook in runtime.custom_hooks
    ]
    assert ours.optim_wrapper.pop("_scope_") == "mmpretrain"
    assert ours.optim_wrapper == theirs.optim_wrapper


def _places_taken(path: Path) -> list[str]:
    """Where a config takes entries of a base's list by their places: ``_base_.x[2:4]``, ``_base_.x[-1]``."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Subscript):
            inner: ast.AST = node.value
            while isinstance(inner, (ast.Attribute, ast.Subscript)):
                inner = inner.value
            named = isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str)
            if isinstance(inner, ast.Name) and inner.id == "_base_" and not named:
                found.append(f"{path.relative_to(ROOT)}: {ast.unparse(node)}")
    return found


def test_no_config_takes_entries_of_a_base_by_their_places() -> None:
    """What stands there changes with the base, and nobody sees it: name transforms and hooks, or write the list."""
    assert not [taken for path in sorted(ROOT.rglob("*.py")) for taken in _places_taken(path)]


def test_simclr_with_mixco_has_its_authors_views() -> None:
    """Crop of 224, flip, jitter (0.8), gray (0.2), blur: as objects, and as what comes out of them."""
    cfg = Config.fromfile(ROOT / "mixco/simclr_r18_tiny.py")
    (multi,) = (
        step
        for step in Compose(list(cfg.train_dataloader.dataset.pipeline)).transforms
        if type(step).__name__ == "MultiView"
    )
    assert multi.num_views == [2]
    crop, flip, jitter, gray, blur = multi.transforms[0].transforms
    names = [type(step).__name__ for step in (crop, flip, jitter, gray, blur)]
    assert names == [
        *("RandomResizedCrop", "RandomFlip", "RandomApply"),
        *("RandomGrayscale", "GaussianBlur"),
    ]
    assert (crop.scale, crop.crop_ratio_range, flip.prob) == ((224, 224), (0.2, 1.0), 0.5)
    (inner,) = jitter.transforms.transforms
    ranges = inner.brightness, inner.contrast, inner.saturation, inner.hue
    for found, expected in zip(ranges, [(0.2, 1.8)] * 3 + [(-0.2, 0.2)], strict=True):
        assert found == pytest.approx(expected)
    assert (jitter.prob, gray.prob, blur.prob) == (0.8, 0.2, 0.5)
    assert blur.magnitude_range == (0.1, 2.0)
    np.random.seed(0)  # noqa: NPY002  (mmpretrain's transforms draw from it)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = [
        view for _ in range(40) for view in multi({"img": image, "img_shape": (64, 64)})["img"]
    ]
    assert all(view.shape == (224, 224, 3) for view in found)
    grays = sum((np.ptp(view.astype(int), axis=2) <= 1).all() for view in found)
    assert 5 <= grays <= 30
    rough = [np.abs(np.diff(view.astype(int), axis=0)).mean() for view in found]
    assert min(rough) < 0.5 * np.median(rough), "some are blurred"


@pytest.mark.parametrize(
    "path", sorted((ROOT / "amix").glob("*mocov2_*.py")), ids=lambda path: path.stem
)
def test_amix_keeps_moco_v2s_momentum(path: Path) -> None:
    """§4.2 adopts MoCo v2's settings; the cosine of §4.1 is that of the classifiers."""
    model = Config.fromfile(path).model
    assert model.momentum == 0.001 and model.get("end_momentum") is None
    assert (model.queue_len, model.head.temperature) == (65536, 0.2)


def test_several_sizes_add_a_view_and_a_queue_of_each() -> None:
    cfg = Config.fromfile(ROOT / "unmix/mocov2_r50_multiscale_in1k.py")
    multi = cfg.train_dataloader.dataset.pipeline[1]
    assert multi.num_views == [2, 2]
    large, small = multi.transforms
    assert (large[0].scale, small[0].scale) == (224, 96)
    for ours, theirs in zip(small[1:], large[1:], strict=True):
        assert ours == {key: value for key, value in theirs.items() if key != "_scope_"}
    assert cfg.model.extra_sizes == (96,)


def test_the_metafiles_repeat_the_figures_in_the_configs() -> None:
    found = 0
    for path in sorted(ROOT.glob("*/metafile.yml")):
        for entry in yaml.safe_load(path.read_text())["Models"]:
            reported = entry["Metadata"].get("Reported by the paper")
            if reported is None:
                continue
            text = (ROOT.parent / entry["Config"]).read_text()
            readme = (path.parent / "README.md").read_text()
            (line,) = (
                row for row in readme.splitlines() if f"]({Path(entry['Config']).name})" in row
            )
            for figures in (value for value in reported.values() if isinstance(value, dict)):
                (*_, last) = figures.values()  # that with the mixture, where there is one
                assert f"{last:g}" in text, entry["Name"]
                found += 1
                for figure in figures.values():
                    assert f"{figure:g}" in line, entry["Name"]
            cfg = Config.fromfile(ROOT.parent / entry["Config"])
            assert cfg.train_cfg.max_epochs == entry["Metadata"]["Epochs"]
    assert found > 40
