"""A backbone's way into a detector, and the head that takes its last stage. mmdet is not needed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import BaseModel, BaseModule, ImgDataPreprocessor
from mmengine.registry import MODELS
from mmpretrain.models.backbones import ResNet
from torch import Tensor, nn

from mixssl.models.detection import Res5Head, backbone_places
from mixssl.utils.errors import ConfigError

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def _resnet(depth: int = 18, **changes: Any) -> ResNet:
    """A narrow ResNet with weights and statistics of no particular value."""
    torch.manual_seed(depth)
    model = ResNet(depth, stem_channels=4, base_channels=4, **changes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for signed in (module.bias, module.running_mean):
                nn.init.uniform_(signed, -0.5, 0.5)
            for positive in (module.weight, module.running_var):
                nn.init.uniform_(positive, 0.5, 2)
    return model


class C4(BaseModel):
    """What a C4 detector is to the initialiser: three stages, a head with the fourth, and a new layer."""

    def __init__(self, checkpoint: str | None, depth: int = 18) -> None:
        init = {"type": "mixssl.PretrainedBackbone", "checkpoint": checkpoint}
        super().__init__(ImgDataPreprocessor(MEAN, STD, bgr_to_rgb=True), init_cfg=init)
        self.backbone = ResNet(
            depth,
            stem_channels=4,
            base_channels=4,
            num_stages=3,
            strides=(1, 2, 2),
            dilations=(1, 1, 1),
            out_indices=(2,),
        )
        self.roi_head = BaseModule()
        self.roi_head.shared_head = Res5Head(depth, base_channels=4)
        self.roi_head.fc = nn.Linear(8, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        found: Tensor = self.roi_head.shared_head.layer4(self.backbone(inputs)[0])
        return found


def _save(folder: Path, state: dict[str, Any], **beside: Any) -> str:
    path = folder / "weights.pth"
    torch.save({"state_dict": state, **beside}, path)
    return str(path)


@pytest.mark.parametrize("depth", [18, 50])
@pytest.mark.parametrize("prefix", ["", "backbone.", "module.backbone."])
def test_every_tensor_arrives_and_the_features_are_the_same(
    depth: int, prefix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = _resnet(depth)
    state = {f"{prefix}{name}": value for name, value in source.state_dict().items()}
    beside = {"fc.weight": torch.zeros(3, 4)} if not prefix else {"queue": torch.zeros(3)}
    detector = C4(_save(tmp_path, state | beside), depth)
    detector.init_weights()

    places = backbone_places(detector)
    assert set(places) == set(source.state_dict()) and len(set(places.values())) == len(places)
    assert len(places) == {18: 120, 50: 318}[depth]
    found = detector.state_dict()
    assert not [n for n, v in source.state_dict().items() if not found[places[n]].equal(v)]
    new = set(found) - set(places.values())
    assert new == {f"roi_head.fc.{n}" for n in ("weight", "bias")} | {
        f"roi_head.shared_head.norm.{n}" for n in detector.roi_head.shared_head.norm.state_dict()
    }
    assert found["roi_head.shared_head.norm.weight"].eq(1).all()
    image = torch.randn(2, 3, 64, 64)
    source.eval()  # a ResNet's returns nothing
    detector.eval()
    with torch.no_grad():
        expected = source(image)[0]
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(detector(image), expected, rtol=1e-5, atol=1e-5)


def test_the_log_counts_what_arrived_where(tmp_path: Path, monkeypatch: Any) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "mixssl.models.detection.pretrained.print_log", lambda line, **_: said.append(line)
    )
    C4(_save(tmp_path, _resnet().state_dict())).init_weights()
    (line,) = said
    assert (
        "all 120 tensors are in the detector (90 in backbone, 30 in roi_head.shared_head)" in line
    )
    said.clear()
    C4("random").init_weights()
    assert said == ["The backbone starts from random weights, as asked for."]


def test_files_without_counters_of_batches_will_do(tmp_path: Path) -> None:
    state = {n: v for n, v in _resnet().state_dict().items() if "num_batches" not in n}
    detector = C4(_save(tmp_path, state))
    detector.init_weights()
    assert detector.backbone.conv1.weight.equal(state["conv1.weight"])


def _without(name: str) -> dict[str, Tensor]:
    return {key: value for key, value in _resnet().state_dict().items() if key != name}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (lambda: _resnet(50).state_dict(), "unexpected"),
        (lambda: _without("layer4.1.bn2.running_var"), "1 missing .layer4.1.bn2.running_var"),
        (lambda: _resnet().state_dict() | {"layer5.0": torch.ones(1)}, "1 unexpected .layer5.0"),
        (
            lambda: _resnet().state_dict() | {"conv1.weight": torch.ones(4, 3, 3, 3)},
            "1 of another shape .conv1.weight .4, 3, 3, 3. instead of .4, 3, 7, 7",
        ),
    ],
    ids=["another depth", "a tensor missing", "a tensor too many", "a small stem"],
)
def test_another_backbone_is_refused_with_the_reason(
    state: Any, reason: str, tmp_path: Path
) -> None:
    detector = C4(_save(tmp_path, state()))
    before = detector.backbone.conv1.weight.clone()
    with pytest.raises(ConfigError, match=reason):
        detector.init_weights()
    assert detector.backbone.conv1.weight.equal(before)


def test_nothing_and_no_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="name the pre-trained backbone with --cfg-options model.init"
    ):
        C4(None).init_weights()
    with pytest.raises(ConfigError, match="name an existing file"):
        C4(str(tmp_path / "none.pth")).init_weights()


@pytest.mark.parametrize(
    ("noted", "fits"),
    [
        ({"mean": MEAN, "std": STD, "to_rgb": True}, True),
        ({"mean": MEAN, "std": STD, "to_rgb": False}, False),
        ({"mean": MEAN, "std": [1.0, 1.0, 1.0], "to_rgb": True}, False),
        ({"mean": [103.53, 116.28, 123.675], "std": STD, "to_rgb": True}, False),
        ({"mean": [128.0], "std": [64.0], "to_rgb": True}, False),
    ],
)
def test_other_pixels_than_those_of_pre_training_are_refused(
    noted: dict, fits: bool, tmp_path: Path
) -> None:
    meta = {"cfg": f"data_preprocessor = {noted!r}\n"}
    detector = C4(_save(tmp_path, _resnet().state_dict(), meta=meta))
    if fits:
        detector.init_weights()
        return
    with pytest.raises(ConfigError, match="does not normalise as pre-training did"):
        detector.init_weights()


def test_the_head_is_a_stage_and_a_norm() -> None:
    for depth, channels in ((18, 512), (50, 2048)):
        head = MODELS.build({"type": "mixssl.Res5Head", "depth": depth})
        assert head.out_channels == head.norm.num_features == channels
    head = Res5Head(18, base_channels=4)
    x = torch.randn(3, 16, 14, 14)
    out = head(x)
    assert out.shape == (3, 32, 7, 7)
    # In training the norm at the end makes each channel's mean 0 and variance 1.
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(32), atol=1e-5, rtol=0)
    varying = head.layer4(x).var((0, 2, 3)) > 1e-3
    assert varying.any()
    variance = out.var((0, 2, 3), unbiased=False)[varying]
    torch.testing.assert_close(variance, torch.ones_like(variance), atol=2e-2, rtol=0)
    with pytest.raises(ValueError, match="depth is 19; take one of 18, 34, 50, 101, 152"):
        Res5Head(19)
