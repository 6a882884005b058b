"""The same image gives the same features in pre-training's backbone and in the detector's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from support.checkpoints import WIDTH, pretraining
from support.detection import build_detector, shrunk_detector
from support.needs_detection import needs_detection
from support.tools import ROOT
from torch import nn

from mixssl.transfer import extract, read_checkpoint
from mixssl.transfer.check import TOLERANCE, check_transfer, detector_tensors, pretraining_backbone
from mixssl.transfer.extraction import file_content
from mixssl.utils.errors import ConfigError

pytestmark = needs_detection

DETECTORS = ROOT / "configs/benchmarks/detection"
FPN = f"""
_base_ = ['{DETECTORS}/faster_rcnn_r18_fpn_24k_voc0712.py']
model = dict(
    backbone=dict(base_channels={WIDTH}, stem_channels={WIDTH}),
    neck=dict(in_channels=[{WIDTH}, {2 * WIDTH}, {4 * WIDTH}, {8 * WIDTH}]))
"""
C4 = f"""
_base_ = ['{DETECTORS}/faster_rcnn_r18_c4_24k_voc0712.py']
model = dict(
    backbone=dict(base_channels={WIDTH}, stem_channels={WIDTH}),
    rpn_head=dict(in_channels={4 * WIDTH}, feat_channels={4 * WIDTH}),
    roi_head=dict(
        shared_head=dict(base_channels={WIDTH}),
        bbox_roi_extractor=dict(out_channels={4 * WIDTH}),
        bbox_head=dict(in_channels={8 * WIDTH})))
"""


@pytest.fixture(params=["C4", "FPN"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return _write(tmp_path, {"C4": C4, "FPN": FPN}[request.param])


def _write(folder: Path, text: str, more: str = "") -> Path:
    path = folder / "detector.py"
    path.write_text(text + more)
    return path


def _check(folder: Path, config: Path, encoder: str = "online") -> list[str]:
    """Extracts from the pre-training checkpoint in a folder, and compares."""
    checkpoint = read_checkpoint(folder / "pre.pth")
    extraction = extract(checkpoint, detector_tensors(config), encoder)
    path = folder / "backbone.pth"
    path.write_bytes(file_content(extraction, checkpoint, "mmdet"))
    return check_transfer(checkpoint, encoder, config, path)


@pytest.mark.parametrize("encoder", ["online", "momentum"])
def test_features_are_the_same_in_both(encoder: str, config: Path, tmp_path: Path) -> None:
    pretraining(tmp_path / "pre.pth")
    lines = _check(tmp_path, config, encoder)
    c4 = "_c4_" in config.read_text()
    stages = ["res4", "res5"] if c4 else ["res2", "res3", "res4", "res5"]
    assert [line.partition(":")[0] for line in lines] == ["normalisation", *stages]
    for line in lines:
        assert "the same" in line
        assert float(line.rpartition(" ")[2]) <= TOLERANCE == 1e-5


def test_a_detector_of_mmdets_own_is_filled_as_the_page_says(tmp_path: Path) -> None:
    page = (ROOT / "docs/en/user_guides/detection.md").read_text()
    (snippet,) = re.findall(r"```python\n(.*?)```", page, re.S)
    base = "_base_ = ['mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py']\n"
    model = shrunk_detector(Config.fromfile(_write(tmp_path, base, snippet)))
    assert model["init_cfg"]["checkpoint"] == "backbone.pth"
    model["backbone"] |= {"base_channels": WIDTH, "stem_channels": WIDTH}
    model["neck"]["in_channels"] = [4 * WIDTH, 8 * WIDTH, 16 * WIDTH, 32 * WIDTH]
    trained = pretraining(tmp_path / "pre.pth", 50)
    _check(tmp_path, _write(tmp_path, f"default_scope = 'mmdet'\nmodel = {model!r}\n"))
    detector = build_detector(model, str(tmp_path / "backbone.pth"))
    for name, value in trained.backbone.state_dict().items():
        assert torch.equal(detector.backbone.state_dict()[name], value), name


def test_the_image_is_seen_by_both_networks(tmp_path: Path) -> None:
    """Were one of them given another backbone, the check would fail."""
    config = _write(tmp_path, FPN)
    model = pretraining(tmp_path / "pre.pth")
    checkpoint = read_checkpoint(tmp_path / "pre.pth")
    extraction = extract(checkpoint, detector_tensors(config))
    extraction.state["layer3.0.bn1.running_mean"] += 0.1
    path = tmp_path / "backbone.pth"
    path.write_bytes(file_content(extraction, checkpoint, "mmdet"))
    with pytest.raises(ConfigError, match="res4 differs by"):
        check_transfer(checkpoint, "online", config, path)
    backbone = pretraining_backbone(checkpoint)
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value)


@pytest.mark.parametrize(
    "change", ["mean=[0.0, 0.0, 0.0]", "bgr_to_rgb=False", "std=[1.0, 1.0, 1.0]"]
)
def test_another_normalisation_is_refused(change: str, tmp_path: Path) -> None:
    config = _write(tmp_path, FPN, f"model['data_preprocessor'] = dict({change})\n")
    pretraining(tmp_path / "pre.pth")
    with pytest.raises(ConfigError) as caught:
        _check(tmp_path, config)
    assert "does not normalise as pre-training did" in str(caught.value)
    assert "RGB" in str(caught.value) and "123.675" in str(caught.value)


def test_a_checkpoint_that_says_nothing_of_normalisation_passes_with_a_hint(tmp_path: Path) -> None:
    model = pretraining(tmp_path / "pre.pth")
    torch.save(model.state_dict(), tmp_path / "pre.pth")
    lines = _check(tmp_path, _write(tmp_path, FPN))
    assert "does not say what pre-training used" in lines[0] and "res5: the same" in lines[-1]


def test_strides_in_other_places_are_found_although_every_tensor_fits(tmp_path: Path) -> None:
    """With the strides of caffe's ResNet names and shapes agree, and the features don't."""
    pretraining(tmp_path / "pre.pth", depth=50)
    more = "model['backbone'].update(depth=50, style='caffe')\n"
    more += f"model['neck'] = dict(in_channels=[{WIDTH} * 4 * 2**i for i in range(4)])\n"
    config = _write(tmp_path, FPN, more)
    with pytest.raises(ConfigError, match="res3 differs by .*style, 'pytorch' or 'caffe'"):
        _check(tmp_path, config)


@pytest.mark.parametrize("text", [None, "train_cfg = dict()\n", "model = dict(type='X')\n"])
def test_what_is_no_detector_is_refused(text: str | None, tmp_path: Path) -> None:
    config = tmp_path / "detector.py"
    if text is not None:
        config.write_text(text)
    with pytest.raises(ConfigError, match="no config file|no model with a backbone"):
        detector_tensors(config)


def test_norms_that_synchronise_need_no_gpu_for_the_check(tmp_path: Path) -> None:
    pretraining(tmp_path / "pre.pth", norm_cfg={"type": "SyncBN"})
    checkpoint = read_checkpoint(tmp_path / "pre.pth")
    kinds = {type(m) for m in pretraining_backbone(checkpoint).modules()}
    assert nn.SyncBatchNorm not in kinds
