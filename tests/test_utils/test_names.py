"""Which keys a config can have, and which are taken for misspelled ones."""

from __future__ import annotations

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.config import Config

import mixssl
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import CLOSE, check_keys, did_you_mean, known_keys

PACKAGE = Path(mixssl.__file__).parent


def _configs_of(package: str) -> list[Path]:
    found = find_spec(package)
    if found is None or not found.submodule_search_locations:
        return []
    return sorted((Path(found.submodule_search_locations[0]) / ".mim/configs").rglob("*.py"))


def _assigned(path: Path) -> set[str]:
    """Names at the top of a config file."""
    statements = ast.parse(path.read_text()).body
    targets = [
        target for node in statements if isinstance(node, ast.Assign) for target in node.targets
    ]
    return {target.id for target in targets if isinstance(target, ast.Name)} - {"_base_"}


def test_no_published_config_has_a_key_that_is_taken_for_a_misspelled_one() -> None:
    paths = [*_configs_of("mmpretrain"), *_configs_of("mmdet")]
    paths += sorted((PACKAGE.parent / "configs").rglob("*.py"))
    assert len(paths) > 500
    names = set().union(*map(_assigned, paths))
    known = known_keys()
    assert not {name for name in names - known if did_you_mean(name, known, CLOSE)}


def test_every_key_that_mixssl_reads_is_known() -> None:
    read = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"\bcfg\.get\(\"(\w+)\"", path.read_text())
    }
    assert "linear_probe" in read
    assert read <= known_keys()


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("linear_probes", "linear_probe"),
        ("optim_wraper", "optim_wrapper"),
        ("knn_banks", "knn_bank"),
        ("train_dataloaders", "train_dataloader"),
        ("custom_hook", "custom_hooks"),
    ],
)
def test_a_near_miss_is_named(key: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=f"sets {key}, .* did you mean '{meant}'"):
        check_keys(Config({key: 1}))


@pytest.mark.parametrize("key", ["view_pipeline", "dataset_type", "data_root", "my_own", "model"])
def test_a_config_may_name_things_of_its_own(key: str) -> None:
    check_keys({key: 1})
