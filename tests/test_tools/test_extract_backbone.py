"""tools/convert/extract_backbone.py: a report and a whole file, or a line with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.checkpoints import WIDTH, pretraining
from support.needs_detection import needs_detection
from support.tools import ROOT, call_tool

NARROW = ("--depth", 18, "--width", WIDTH)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "epoch_3.pth"
    pretraining(path)
    return path


def _extract(*arguments: object) -> int:
    return call_tool("convert/extract_backbone", *arguments)


def test_the_report_and_the_path_are_printed_and_the_file_is_whole(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for _ in range(2):  # a second time it is the same file
        assert _extract(checkpoint, *NARROW, "--to", "timm", "--out", out) == 0
    *_, report, pixels, path = capsys.readouterr().out.splitlines()
    assert report.startswith("loaded 120 of 120 tensors of the online backbone; missing 0;")
    assert pixels.startswith("pixels: RGB from 0 to 255, mean [123.675, 116.28, 103.53], std [58")
    assert [str(found) for found in out.iterdir()] == [path]
    file = torch.load(path, weights_only=True)
    assert len(file["state_dict"]) == 120 and file["meta"]["pixels"]["to_rgb"] is True


def test_by_default_the_file_goes_beside_the_checkpoint_under_mmdets_name(checkpoint: Path) -> None:
    assert _extract(checkpoint, *NARROW, "--encoder", "momentum") == 0
    (found,) = checkpoint.parent.glob("epoch_3_momentum_backbone_mmdet-????????.pth")
    assert found.stat().st_size > 0


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (("--depth", 50, "--width", WIDTH), "depth 18 instead of depth 50"),
        (("--depth", 18), "16 base channels instead of 64 base channels"),
        (("--depth", 17), "depth is 17, and ResNets have 18, 34, 50, 101, 152"),
    ],
)
def test_a_target_that_does_not_fit_gets_a_line_and_no_file(
    target: tuple, reason: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _extract(checkpoint, *target) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("extract_backbone.py: ") and reason in line
    assert [path.name for path in checkpoint.parent.iterdir()] == ["epoch_3.pth"]


def test_a_folder_that_cannot_be_written_is_named(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert _extract(checkpoint, *NARROW, "--out", tmp_path / "file") == 2
    assert "can't be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--check", *NARROW),
        (),
        ("--config", "c", "--depth", "18"),
        ("--config", "c", "--small-images"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments: tuple, checkpoint: Path) -> None:
    assert _extract(checkpoint, *arguments) == 2


@needs_detection
def test_with_a_detectors_config_the_features_are_compared(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ROOT / "configs/benchmarks/detection/faster_rcnn_r18_fpn_24k_voc0712.py"
    config = tmp_path / "detector.py"
    config.write_text(
        f"_base_ = [{str(base)!r}]\n"
        f"model = dict(backbone=dict(base_channels={WIDTH}, stem_channels={WIDTH}),\n"
        f"             neck=dict(in_channels=[{WIDTH} * 2**i for i in range(4)]))\n"
    )
    assert _extract(checkpoint, "--config", config, "--check") == 0
    *_, normalisation, res2, res3, res4, res5, path = capsys.readouterr().out.splitlines()
    assert normalisation.startswith("normalisation: the same")
    for name, line in zip(("res2", "res3", "res4", "res5"), (res2, res3, res4, res5), strict=True):
        assert line.startswith(f"{name}: the same")
    assert Path(path).is_file()
    assert _extract(checkpoint, "--config", base, "--check") == 2
