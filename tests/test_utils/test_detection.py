"""Detection is an extra: named in one line where it is missing, and imported by nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mixssl.utils import detection
from mixssl.utils.detection import require_detection
from mixssl.utils.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ("mmdet", "mmdet (onedl-mmdetection)"),
        ("pycocotools.mask", "pycocotools"),
    ],
)
def test_what_is_missing_is_named_with_the_command(
    module: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_module(name: str) -> object:
        if name == module:
            raise ModuleNotFoundError(f"No module named {name!r}\nand more")
        return SimpleNamespace()

    monkeypatch.setattr(detection.importlib, "import_module", import_module)
    with pytest.raises(ConfigError) as caught:
        require_detection()
    line = str(caught.value)
    assert line.startswith(f"detection needs {named}, which can't be imported here (No module")
    assert "run make det" in line and "pip install 'onedl-mmdetection>=" in line
    assert "\n" not in line and "and more" not in line


def test_nothing_but_detection_imports_mmdet_or_the_operators() -> None:
    code = (
        "import sys\n"
        "sys.modules['mmdet'] = sys.modules['mmcv._ext'] = sys.modules['pycocotools'] = None\n"
        "import mixssl, mixssl.engine, mixssl.models, mixssl.datasets, mixssl.evaluation\n"
        "import mixssl.transfer, mixssl.transfer.check, mixssl.visualization\n"
        "from mmengine.registry import MODELS\n"
        "print(MODELS.get('mixssl.MixMoCo').__name__)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith("MixMoCo\n"), done.stderr
