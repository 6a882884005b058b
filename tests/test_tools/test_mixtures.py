"""tools/visualize/mixtures.py writes a picture, or one line that says why not."""

from pathlib import Path

import matplotlib.image
import pytest
from support.tools import ROOT, call_tool

CONFIGS = ROOT / "configs/demo"


def test_draws_what_a_config_mixes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mixtures.png"
    config = CONFIGS / "unmix_mocov2_r18_digits.py"
    assert call_tool("visualize/mixtures", config, "--out", path, "--num", 4) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(path)
    assert matplotlib.image.imread(path).shape[1] == 1200


def test_a_config_without_a_mixer_gets_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mixtures.png"
    assert call_tool("visualize/mixtures", CONFIGS / "mocov2_r18_digits.py", "--out", path) == 2
    assert "has no mixer" in capsys.readouterr().err
    assert not path.exists()
