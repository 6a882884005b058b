"""A mixture that is switched off takes along all that belongs to it, in a config and in the model."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.utils import register_all_modules
from support.methods_more import run_length
from support.recipes import shrunk
from support.tiny import build

from mixssl.cli.experiment import Variant
from mixssl.cli.without_mixture import mixture_arguments, mixture_switch, without_mixture
from mixssl.models.classifiers import AMixClassifier, MixClassifier
from mixssl.models.methods import MixtureMethod
from mixssl.registry import MODELS

ROOT = Path(__file__).parents[2] / "configs"
METHODS_OWN = {
    "MixBYOL": {"end_momentum"},
    "MixMoCo": {
        "symmetric",
        "key_views",
        "extra_sizes",
        "share_queue",
        "hard_negatives",
        "end_momentum",
    },
    "MixDINO": {"backbone", "neck", "student_temperature", "teacher_temperature"}
    | {"warmup_teacher_temperature", "warmup_teacher_epochs", "center_momentum"}
    | {"base_momentum", "end_momentum", "freeze_last_layer"},
    "MixDistill": {"backbone", "neck", "teacher", "queue_len", "temperature"}
    | {"global_weight", "dense_weight"},
    "MixSimSiam": {"num_views"},
    "MixBarlowTwins": {"normalize"},
    "MixVICReg": {"invariance", "variance", "covariance"},
    "MixWMSE": {"backbone", "neck", "w_size", "w_iter", "eps", "seed"},
}
"""Arguments that our classes add to mmpretrain's and that mean something without a mixture."""
OF_ENCODERS = {"channels_last", "compile_encoders", "checkpoint_backbone"}
"""Those that all of them have, see mixssl/models/encoder_options.py."""


def _amix(encoder: str, data: str) -> list[str]:
    """AMix's rows on MoCo v2, whatever their mixture."""
    found = sorted((ROOT / "amix").glob(f"*mocov2_{encoder}*_{data}.py"))
    return [path.relative_to(ROOT).as_posix() for path in found]


SHARED = {
    **{
        f"AMix, {encoder}, {data}": _amix(encoder, data)
        for encoder in ("r18", "r50")
        for data in ("stl10", "tiny")
    },
    "AMix, r18, in1k": _amix("r18", "in1k"),
    "MoCo v2, r50, in1k": ["unmix/mocov2_r50_in1k.py", *_amix("r50", "in1k")],
    "Un-Mix, MoCo, CIFAR-10": [
        "unmix/moco_r18_cifar10.py",
        "unmix/moco_r18_both_cifar10.py",
        "comparisons/moco_r18_amix_cifar10.py",
        "comparisons/moco_r18_local_global_cifar10.py",
    ],
    "ScaleMix and CropMix, whose views are others": [
        "unmix/moco_r18_asymmetric_cifar10.py",
        "comparisons/moco_r18_scalemix_cifar10.py",
        "comparisons/moco_r18_cropmix_cifar10.py",
    ],
    "asymmetric views, MoCo v2, r50, in1k": [
        "asymsiam/mocov2_r50_in1k.py",
        "asymsiam/mocov2_r50_scalemix_in1k.py",
        "asymsiam/mocov2_r50_cropmix_in1k.py",
    ],
    "Un-Mix, BYOL, CIFAR-10": [
        "unmix/byol_r18_cifar10.py",
        "comparisons/byol_r18_local_global_cifar10.py",
    ],
    "AMix, supervised, ResNet-18, CIFAR-100": [
        "amix/supervised_r18_cifar100.py",
        "amix/supervised_r18_automix_cifar100.py",
    ],
    "the demo's MoCo": ["demo/mocov2_r18_digits.py", "demo/unmix_mocov2_r18_digits.py"],
}
"""Configs whose rows are compared with one baseline."""


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    register_all_modules(init_default_scope=False)
    with run_length(), DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def _ours() -> dict[str, type]:
    MODELS.import_from_location()
    return {
        name: found
        for name, found in MODELS.module_dict.items()
        if inspect.isclass(found) and issubclass(found, MixtureMethod)
    }


def _arguments(kind: type) -> set[str]:
    """Names that the constructors of our classes take, of this class and its bases."""
    named = (
        parameter
        for base in kind.__mro__
        if base.__module__.startswith("mixssl.") and "__init__" in vars(base)
        for parameter in inspect.signature(base.__init__).parameters.values()
    )
    names = {p.name for p in named if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return names - {"self"}


@pytest.mark.parametrize("name", sorted(_ours()))
def test_every_argument_of_a_method_is_its_own_or_goes_with_the_mixture(name: str) -> None:
    kind = _ours()[name]
    assert _arguments(kind) == METHODS_OWN.get(name, set()) | OF_ENCODERS | mixture_arguments(kind)


@pytest.mark.parametrize("kind", [MixClassifier, AMixClassifier])
def test_every_argument_of_a_classifier_goes_with_the_mixture(kind: type) -> None:
    own = {"backbone", "neck", "head"} | OF_ENCODERS
    assert _arguments(kind) == own | mixture_arguments(kind)


def _baseline(name: str) -> Variant:
    """The baseline of a config, at full length."""
    cfg = without_mixture(Config.fromfile(ROOT / name))
    return Variant(name, name, "", cfg, cfg, 1)


@pytest.mark.parametrize("configs", SHARED.values(), ids=SHARED)
def test_rows_of_a_table_have_one_baseline(configs: list[str]) -> None:
    rows = [_baseline(name) for name in configs]
    assert len(rows) > 1
    for row in rows[1:]:
        found, expected = row.cfg.to_dict(), rows[0].cfg.to_dict()
        assert {key: found[key] for key in found if found[key] != expected.get(key)} == {}, row.name
        assert row.digest == rows[0].digest, row.name


@pytest.mark.parametrize(
    "name",
    [
        "amix/amixc_mocov2_r18_stl10.py",
        "amix/mocov2_r18_puzzlemix_stl10.py",
        "comparisons/byol_r18_local_global_cifar10.py",
        "comparisons/simclr_r18_local_global_cifar10.py",
        "mixco/mocov2_r18_tiny.py",
    ],
)
def test_switching_off_in_the_config_is_switching_off_in_the_model(name: str) -> None:
    """``data_preprocessor.mixer=None`` alone gives the model that the config without the mixture gives."""
    cfg = Config.fromfile(ROOT / name)
    switch = mixture_switch(cfg)
    assert switch == "data_preprocessor.mixer"
    plain = build(shrunk(without_mixture(cfg)))
    cfg.merge_from_dict({switch: None})
    assert mixture_switch(cfg) is None
    off = build(shrunk(cfg))
    parent = next(base for base in type(off).__mro__ if "mmpretrain" in base.__module__)
    assert off.state_dict().keys() == plain.state_dict().keys()
    assert not any("clusters" in key or "region" in key for key in off.state_dict())
    assert parent.__name__ in type(off).__name__


def test_a_classifiers_block_is_its_mixture() -> None:
    cfg = Config.fromfile(ROOT / "amix/supervised_r18_cub200.py")
    assert mixture_switch(cfg) == "model.mix_block"
    plain = without_mixture(cfg)
    assert "mix_block" in cfg.model and "mix_block" not in plain.model
    assert "paramwise_cfg" in cfg.optim_wrapper and "paramwise_cfg" not in plain.optim_wrapper
    mixed = Config({"model": {"type": "mixssl.MixClassifier", "mixer": {"type": "mixssl.CutMix"}}})
    assert mixture_switch(mixed) == "model.mixer"
    assert without_mixture(mixed).to_dict() == {"model": {"type": "mixssl.MixClassifier"}}


def test_a_hook_and_a_setting_of_others_stay() -> None:
    cfg = Config.fromfile(ROOT / "amix/amixc_mocov2_r18_stl10.py")
    cfg.optim_wrapper.paramwise_cfg.custom_keys["neck"] = {"lr_mult": 2.0}
    before = cfg.to_dict()
    plain = without_mixture(cfg)
    assert cfg.to_dict() == before
    assert cfg.default_hooks.keys() - plain.default_hooks.keys() == {"odc"}
    assert plain.optim_wrapper.paramwise_cfg == {"custom_keys": {"neck": {"lr_mult": 2.0}}}
