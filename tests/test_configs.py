"""Every config in the tree parses, fits together and builds."""

from __future__ import annotations

import ast
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hub import get_config
from mmengine.registry import FUNCTIONS, HOOKS, MODELS, DefaultScope
from mmpretrain.utils import register_all_modules
from support.methods_more import run_length
from support.recipes import optim_wrapper, random_batch, shrunk
from support.tiny import build

from mixssl.models.methods import MixtureMethod
from mixssl.utils.config_checks import check_config, dataset_dicts
from mixssl.utils.config_hooks import hooks_of

ROOT = Path(__file__).parents[1] / "configs"
CONFIGS = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.rglob("*.py")
    if "_base_" not in path.parts and "benchmarks" not in path.parts
)
METHODS = [name for name in CONFIGS if not Path(name).name.startswith("supervised_")]
"""Those of the classifiers have their own tests, in test_supervised_configs.py."""


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


def test_configs_fit_together(tmp_path: Path, subtests: pytest.Subtests) -> None:
    for name in CONFIGS:
        with subtests.test(name):
            _check_parts(name, tmp_path)


def _check_parts(name: str, tmp_path: Path) -> None:
    cfg = Config.fromfile(ROOT / name)
    check_config(_beside_data(cfg, tmp_path))
    assert cfg.train_dataloader.collate_fn == {"type": "default_collate"}
    FUNCTIONS.get(cfg.train_dataloader.collate_fn["type"])
    Compose(list(cfg.train_dataloader.dataset.pipeline))
    hooks = {hook["type"] for _, hook in hooks_of(cfg)}
    assert "mixssl.StopOnNonFiniteLossHook" in hooks and "mixssl.GracefulStopHook" in hooks
    with HOOKS.switch_scope_and_registry(cfg.default_scope) as registry:
        assert all(registry.get(hook) for hook in hooks)
    assert cfg.default_scope == "mmpretrain"


@pytest.mark.parametrize("folder", sorted({Path(name).parts[0] for name in METHODS}))
def test_configs_build(folder: str, subtests: pytest.Subtests) -> None:
    for name in METHODS:
        if Path(name).parts[0] == folder:
            with subtests.test(name):
                _check_build(name)


def _check_build(name: str) -> None:
    cfg = Config.fromfile(ROOT / name)
    model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
    assert isinstance(model, MixtureMethod)
    assert model.data_preprocessor._enable_normalize, "mean and std did not arrive"
    assert (model.mixer is None) == ("mixer" not in cfg.data_preprocessor)

    wrapper = optim_wrapper(cfg, model)
    trained = {id(p) for group in wrapper.param_groups for p in group["params"]}
    assert {id(p) for p in model.parameters() if p.requires_grad} <= trained


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
    terms = model.plan(data["inputs"], data["mixtures"]).terms
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
        terms = model.plan(data["inputs"], data["mixtures"]).terms
        mixed = [term for term in terms if term.online.view == 2]
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


def test_a_reading_is_named_where_the_recipe_is(subtests: pytest.Subtests) -> None:
    for name, said, other in READINGS:
        with subtests.test(f"{name}: {said}"):
            assert said in " ".join((ROOT / name).read_text().replace("\n# ", " ").split())
            if other:
                cfg = Config.fromfile(ROOT / name)
                before = copy.deepcopy(cfg)
                cfg.merge_from_dict(other)
                assert cfg != before
                with run_length(1000):
                    build(shrunk(cfg))


def test_mixing_both_branches_changes_the_mixture_alone() -> None:
    paths = sorted((ROOT / "unmix").glob("*_both_*.py"))
    assert paths
    for path in paths:
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
    runtime = Config.fromfile(ROOT / "_base_/runtime_hooks.py").runtime_hooks
    assert ours.default_hooks.keys() - theirs.default_hooks.keys() == runtime.keys()
    assert {name: ours.default_hooks[name] for name in runtime} == runtime
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


def _levels(path: Path) -> list[set[Path]]:
    """Files of this tree that a config resolves through: itself, then its bases, then theirs, level by level."""
    levels = [{path.resolve()}]
    while levels[-1]:
        below = set()
        for config in levels[-1]:
            for node in ast.parse(config.read_text()).body:
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_base_":
                    bases = [base for base in ast.literal_eval(node.value) if "::" not in base]
                    below |= {(config.parent / base).resolve() for base in bases}
        levels.append(below)
    return levels[:-1]


def test_configs_resolve_through_few_files() -> None:
    """A recipe is a model, a data set and a protocol; who reads it opens few files."""
    files = {}
    for path in sorted(ROOT.rglob("*.py")):
        if "_base_" not in path.parts:
            levels = _levels(path)
            files[path.relative_to(ROOT).as_posix()] = len(set().union(*levels))
            assert len(levels) <= 6, path
            assert files[path.relative_to(ROOT).as_posix()] <= 10, path
    assert files["unmix/moco_r18_cifar10.py"] <= 6
    assert files["unmix/simclr_r18_cifar10.py"] <= 7
