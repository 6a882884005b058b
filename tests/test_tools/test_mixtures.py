"""tools/visualize/mixtures.py writes a picture, or one line that says why not."""

from pathlib import Path

import matplotlib.image
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from support.tools import ROOT, call_tool

from mixssl.visualization import build_model

CONFIGS = ROOT / "configs/demo"
AMIX = """
_base_ = [{base!r}]
data_preprocessor = dict(mixer=dict(type='mixssl.AMix'))
model = dict(
    queue_len=64, feat_dim=8, backbone=dict(stem_channels=4, base_channels=4),
    neck=dict(in_channels=32, hid_channels=8, out_channels=8),
    mix_head=dict(type='mixssl.AMixHead'), mix_block=dict(type='mixssl.MixBlockPlus', in_channels=16))
"""


@pytest.fixture
def learned(tmp_path: Path) -> Path:
    """A config with learned masks, small enough for a test."""
    path = tmp_path / "amix.py"
    path.write_text(AMIX.format(base=str(CONFIGS / "mocov2_r18_digits.py")))
    return path


def write_checkpoint(config: Path, path: Path, seed: int) -> Path:
    """Saves the model as a seed initialises it."""
    cfg = Config.fromfile(config)
    init_default_scope(cfg.default_scope)
    torch.manual_seed(seed)
    torch.save({"state_dict": build_model(cfg).state_dict()}, path)
    return path


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


def test_learned_masks_are_drawn_checkpoint_by_checkpoint(
    learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mixtures.png"
    files = [write_checkpoint(learned, tmp_path / f"epoch_{i}.pth", i) for i in (1, 2)]
    pictures = []
    for named in (files, files[::-1], files):
        arguments = ("--checkpoints", *named, "--out", path, "--num", 2)
        assert call_tool("visualize/mixtures", learned, *arguments) == 0
        assert capsys.readouterr().out.splitlines()[-1] == str(path)
        pictures.append(matplotlib.image.imread(path))
    assert pictures[0].shape[1] == 1200
    assert (pictures[0] == pictures[2]).all()
    assert (pictures[0] != pictures[1]).any()


def test_checkpoints_that_are_missing_unneeded_or_foreign_get_one_line(
    learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ("--out", tmp_path / "mixtures.png", "--num", 1)
    static = CONFIGS / "unmix_mocov2_r18_digits.py"
    foreign = tmp_path / "foreign.pth"
    torch.save({"state_dict": {"weight": torch.zeros(1)}}, foreign)
    cases: list[tuple[Path, tuple, str]] = [
        (learned, (), "name one or more with --checkpoints"),
        (learned, ("--checkpoints", tmp_path / "none.pth"), "there is no such file"),
        (learned, ("--checkpoints", foreign, foreign), "names a file twice"),
        (learned, ("--checkpoints", foreign), "does not fit the config's model"),
        (static, ("--checkpoints", foreign), "leave --checkpoints out"),
    ]
    for config, arguments, message in cases:
        assert call_tool("visualize/mixtures", config, *out, *arguments) == 2
        error = capsys.readouterr().err
        assert message in error and len(error.splitlines()) == 1
    assert not (tmp_path / "mixtures.png").exists()
