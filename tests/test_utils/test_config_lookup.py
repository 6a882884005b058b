"""Configs of ours inherited from a folder that is not ours."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.config import utils as config_utils

from mixssl.utils.config_lookup import config_path, register_config_lookup

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = sorted(
    path.relative_to(CONFIGS).as_posix()
    for path in CONFIGS.rglob("*.py")
    if "_base_" not in path.parts
)
OF_EACH_FOLDER = sorted({name.rpartition("/")[0]: name for name in NAMES}.values())
"""What is looked up is a path: one of a folder stands for all."""


def _child(folder: Path, base: str) -> Config:
    """A config outside the repository that changes one number of ``base``."""
    file = folder / "mine.py"
    file.write_text(f"_base_ = [{base!r}]\ntrain_dataloader = dict(batch_size=6)\n")
    return Config.fromfile(file)


def _without_batch_size(cfg: Config) -> dict:
    plain = cfg.to_dict()
    plain["train_dataloader"].pop("batch_size", None)
    return plain


def test_there_are_configs_to_inherit() -> None:
    assert {name.partition("/")[0] for name in NAMES} >= {"amix", "benchmarks", "mixco", "unmix"}


def test_a_child_elsewhere_equals_its_base_but_for_its_change(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    for name in NAMES:
        # A path and a name lead to the same file, without a scope, and mmengine reads no more of either than that.
        found = [
            Config._get_cfg_path(base, str(tmp_path / "mine.py"))
            for base in (str(CONFIGS / name), f"mixssl::{name}")
        ]
        assert found == [(str(CONFIGS / name), None)] * 2, name
    for name in OF_EACH_FOLDER:
        with subtests.test(name):
            child = _child(tmp_path, f"mixssl::{name}")
            assert child.train_dataloader.batch_size == 6
            # Equal in whole: no scope is added that would hide mmpretrain's types or break the collate function.
            base = Config.fromfile(CONFIGS / name)
            assert _without_batch_size(child) == _without_batch_size(base)


def test_a_name_that_does_not_exist_lists_what_does(tmp_path: Path) -> None:
    folder, _, _ = NAMES[0].partition("/")
    with pytest.raises(FileNotFoundError, match=NAMES[0]):
        _child(tmp_path, f"mixssl::{folder}/nothing.py")
    with pytest.raises(FileNotFoundError, match=f"no config 'nowhere/x.py'.*{folder}"):
        _child(tmp_path, "mixssl::nowhere/x.py")


def test_nothing_outside_the_configs_is_found() -> None:
    with pytest.raises(FileNotFoundError, match="no config"):
        config_path("mixssl::../setup.py")


def test_a_path_can_be_asked_for() -> None:
    assert config_path(f"mixssl::{NAMES[0]}") == config_path(NAMES[0]) == CONFIGS / NAMES[0]


def test_names_of_other_packages_resolve_as_before(tmp_path: Path) -> None:
    cfg = _child(tmp_path, "mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py")
    assert cfg.model.type == "MoCo"
    with pytest.raises(AssertionError, match="nowhere"):
        _child(tmp_path, "nowhere::a/b.py")


def test_registering_twice_changes_nothing() -> None:
    before = Config._get_cfg_path
    register_config_lookup()
    assert Config._get_cfg_path is before
    assert config_utils.MODULE2PACKAGE["mixssl"] == "mixssl"
