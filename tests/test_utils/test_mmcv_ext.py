"""Which operators ``mmcv._ext`` is: mmcv's compiled ones where they are of use, and elsewhere torchvision's."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import mmcv
import pytest
import torch
from support.needs_detection import needs_detection
from support.tools import ROOT

from mixssl.utils import mmcv_ops
from mixssl.utils.errors import ConfigError
from mixssl.utils.mmcv_ext import provide_operators

COMPILED = "def nms(): 'compiled'\ndef get_compiling_cuda_version(): return {!r}\n"
DIGITS = ROOT / "configs/benchmarks/detection/mask_rcnn_r18_fpn_digits.py"


@pytest.fixture
def import_ext(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str | None], ModuleType]:
    """Imports ``mmcv._ext`` anew, in place of the compiled module one with the given content, or none."""

    def imported(content: str | None) -> ModuleType:
        if content is not None:
            (tmp_path / "_ext.py").write_text(content)
        monkeypatch.setattr(mmcv, "__path__", [str(tmp_path)])
        monkeypatch.setattr(mmcv, "_ext", None, raising=False)
        monkeypatch.delitem(sys.modules, "mmcv._ext", raising=False)
        return importlib.import_module("mmcv._ext")

    return imported


def test_compiled_operators_are_taken(import_ext, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert import_ext(COMPILED.format("not available")).nms.__doc__ == "compiled"
    assert sys.modules["mmcv._ext"] is mmcv._ext


def test_compiled_operators_for_a_gpu_are_taken_where_there_is_one(import_ext, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert import_ext(COMPILED.format("13.0")).nms.__doc__ == "compiled"


def test_without_compiled_operators_torchvisions_stand_in(import_ext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = import_ext(None)
    assert module.nms is mmcv_ops.nms and module.__name__ == "mmcv._ext"
    assert "torchvision" in module.get_compiler_version()
    assert module.get_compiling_cuda_version() == (torch.version.cuda or "not available")
    assert not hasattr(module, "__file__")


def test_compiled_operators_that_do_not_load_are_replaced_and_named(import_ext) -> None:
    with pytest.warns(UserWarning, match=r"can't be loaded \(undefined symbol\): torchvision's"):
        module = import_ext("raise ImportError('undefined symbol\\nand more')")
    assert module.nms is mmcv_ops.nms


def test_operators_compiled_for_the_cpu_are_replaced_where_there_is_a_gpu(
    import_ext, monkeypatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.warns(UserWarning, match="for the CPU alone, and this machine has a GPU"):
        module = import_ext(COMPILED.format("not available"))
    assert module.nms is mmcv_ops.nms


def test_any_other_operator_is_refused_when_it_is_called(import_ext) -> None:
    module = import_ext(None)
    with pytest.raises(ConfigError) as caught:
        module.deform_conv_forward(torch.ones(1), im2col_step=32)
    line = str(caught.value)
    assert line.startswith("mmcv's operator deform_conv_forward is not compiled here")
    assert "MMCV_WITH_OPS=1 pip install" in line and "onedl-mmcv==" in line and "\n" not in line


def test_the_largest_sample_of_a_bin_is_refused(import_ext) -> None:
    options = {"aligned_height": 2, "aligned_width": 2, "spatial_scale": 1.0, "sampling_ratio": 0}
    with pytest.raises(ConfigError, match="torchvision only averages: take pool_mode='avg', or"):
        import_ext(None).roi_align_forward(
            *[torch.zeros(0)] * 5, **options, pool_mode=0, aligned=True
        )


def test_providing_them_again_changes_nothing() -> None:
    before = list(sys.meta_path)
    provide_operators()
    assert sys.meta_path == before


def _run(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_importing_mixssl_imports_neither_torch_nor_mmcv() -> None:
    done = _run("import mixssl, sys; print({'torch', 'torchvision', 'mmcv'} & set(sys.modules))")
    assert done.stdout == "set()\n", done.stderr


@needs_detection
def test_all_of_mmcv_and_mmdet_can_be_imported() -> None:
    code = (
        "import importlib, pkgutil, mixssl\n"
        "for top in ('mmcv', 'mmdet'):\n"
        "    for found in pkgutil.walk_packages(importlib.import_module(top).__path__, top + '.'):\n"
        "        try:\n"
        "            importlib.import_module(found.name)\n"
        "        except ModuleNotFoundError as error:\n"  # a package of which mmdet itself makes an extra
        "            assert 'onedl' in found.name, (found.name, error)\n"
        "print('all')\n"
    )
    done = _run(code)
    assert done.stdout.endswith("all\n"), done.stderr


@needs_detection
def test_a_detectors_config_provides_the_operators_under_mmdets_own_tools() -> None:
    code = (
        "from mmengine.config import Config\n"
        f"Config.fromfile({str(DIGITS)!r})\n"
        "import mmcv.ops\n"
        "from mmdet.models.layers import bbox_nms\n"
        "print(bbox_nms.batched_nms is mmcv.ops.batched_nms)\n"
    )
    done = _run(code)
    assert done.stdout.endswith("True\n"), done.stderr
