"""Programs that never import mixssl, and start as they do where it is installed."""

import shutil
import sys
from pathlib import Path

import pytest
from support.packaging import run
from support.tools import ROOT

STARTED = """
import sys
before = set(sys.modules)
import _mixssl_bases
_mixssl_bases.wait_for_mmengine()
_mixssl_bases.wait_for_mmengine()
heavy = {"torch", "mmengine", "mixssl", "typing"}
assert not heavy & (set(sys.modules) - before)
assert len([x for x in sys.meta_path if type(x).__module__ == "_mixssl_bases"]) == 1

from mmengine.config import Config
assert not [x for x in sys.meta_path if type(x).__module__ == "_mixssl_bases"]
assert Config.fromfile("other.py").model.type == "MoCo"
assert "mixssl" not in sys.modules
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "mixssl/utils/early_bases.py", tmp_path / "_mixssl_bases.py")
    (tmp_path / "mixssl").symlink_to(ROOT / "mixssl")
    mocov2 = "mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py"
    (tmp_path / "other.py").write_text(f"_base_ = {mocov2!r}\n")
    (tmp_path / "newer.py").write_text(
        "from mmengine.config import read_base\n"
        "with read_base():\n    from mixssl.configs.unmix.moco_r18_cifar10 import *\n"
        "data_preprocessor['mixer'].update(alpha=2.0)\nmodel.update(momentum=0.5)\n"
    )
    (tmp_path / "older.py").write_text(
        "_base_ = 'mixssl::unmix/moco_r18_cifar10.py'\n"
        "data_preprocessor = dict(mixer=dict(alpha=2.0))\nmodel = dict(momentum=0.5)\n"
    )
    return tmp_path


@pytest.mark.parametrize("forms", [("older", "newer"), ("newer", "older")])
def test_both_forms_of_config_inherit_ours(folder: Path, forms: tuple[str, str]) -> None:
    code = (
        f"one, other = (Config.fromfile(f'{{form}}.py') for form in {forms})\n"
        "assert 'mixssl' in sys.modules and one.model.momentum == 0.5\n"
        "assert one.data_preprocessor.mixer.alpha == 2.0\n"
        "assert one._to_lazy_dict() == other._to_lazy_dict()\n"
        "one.dump('dumped.py')\n"
        "assert Config.fromfile('dumped.py').to_dict() == one.to_dict()\n"
    )
    run(sys.executable, "-c", STARTED + code, cwd=folder)


def test_a_name_that_does_not_exist_lists_what_does(folder: Path) -> None:
    (folder / "wrong.py").write_text("_base_ = 'mixssl::unmix/moco_r18_cifr10.py'\n")
    code = (
        "try:\n    Config.fromfile('wrong.py')\n"
        "except FileNotFoundError as error:\n    assert 'unmix/moco_r18_cifar10.py' in str(error)\n"
        "else:\n    raise AssertionError\n"
    )
    run(sys.executable, "-c", STARTED + code, cwd=folder)
