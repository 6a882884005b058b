"""The snippets of docs/en/user_guides/use_a_backbone.md, run as they stand there on an extracted backbone."""

from __future__ import annotations

import contextlib
import copy
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData, PixelData
from PIL import Image
from support.checkpoints import WIDTH, pretraining
from support.needs_detection import needs_detection
from support.tools import ROOT, call_tool
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor

from mixssl.transfer.check import TOLERANCE

PAGE = (ROOT / "docs/en/user_guides/use_a_backbone.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.S)
FULL = {"base_channels": 64, "stem_channels": 64}
Extract = Callable[..., tuple[Path, Path]]


def _snippet(word: str) -> str:
    (found,) = (snippet for snippet in SNIPPETS if word in snippet)
    return found


def test_every_snippet_is_run_here() -> None:
    words = ["resnet50()", "resnet18()", "timm", "mmdet::", "mmseg", "detectron2"]
    assert [_snippet(word) for word in words] == SNIPPETS


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Extract:
    """A checkpoint of pre-training and the file that the command makes of it."""

    def extract(to: str, depth: int = 50, *more: str, **backbone: Any) -> tuple[Path, Path]:
        folder = tmp_path_factory.mktemp(to)
        pretraining(folder / "epoch_1.pth", depth, **backbone)
        width = backbone.get("base_channels", WIDTH)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            sizes = ("--depth", depth, "--width", width, *more)
            code = call_tool("convert/extract_backbone", folder / "epoch_1.pth", "--to", to, *sizes)
        assert code == 0
        *_, pixels, path = said.getvalue().splitlines()
        assert pixels.startswith(
            "pixels: RGB from 0 to 255, mean [123.675, 116.28, 103.53], std [58"
        )
        return folder / "epoch_1.pth", Path(path)

    return extract


def _run(snippet: str, backbone: Path) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(snippet.replace("'BACKBONE'", repr(str(backbone))), names)
    return names


def _image(side: int = 224) -> Image.Image:
    pixels = torch.randint(256, (side, side, 3), generator=torch.Generator().manual_seed(0))
    return Image.fromarray(pixels.byte().numpy())


def _features(checkpoint: Path, backbone: dict, x: Tensor) -> Tensor:
    """What the pre-trained network makes of normalised pixels, (N, C)."""
    whole = torch.load(checkpoint, weights_only=False)["state_dict"]
    model = MODELS.build(backbone)
    prefix = "backbone."
    state = {k.removeprefix(prefix): v for k, v in whole.items() if k.startswith(prefix)}
    model.load_state_dict(state)
    model.eval()
    with torch.no_grad():
        return model(x)[-1].mean((2, 3))


def _pooled(checkpoint: Path, image: Image.Image) -> Tensor:
    """What the pre-trained ResNet-50 makes of an image, normalised as the recipe says."""
    mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
    pixels = (pil_to_tensor(image).float() - mean[:, None, None]) / std[:, None, None]
    return _features(checkpoint, {"type": "mmpretrain.ResNet", "depth": 50}, pixels[None])


def _close(one: Tensor, other: Tensor) -> bool:
    assert one.shape == other.shape
    return float((one - other).abs().max() / other.abs().max()) < TOLERANCE


@pytest.mark.slow
def test_torchvision(extracted: Extract) -> None:
    checkpoint, backbone = extracted("torchvision", **FULL)
    names, image = _run(_snippet("resnet50()"), backbone), _image()
    seen = names["normalize"](pil_to_tensor(image) / 255)
    with torch.no_grad():
        assert _close(names["model"].eval()(seen[None]), _pooled(checkpoint, image))


@pytest.mark.slow
def test_torchvision_with_the_stem_for_small_images(extracted: Extract) -> None:
    cifar = FULL | {"type": "mmpretrain.ResNet_CIFAR"}
    checkpoint, backbone = extracted("torchvision", 18, "--small-images", **cifar)
    model = _run(_snippet("resnet18()"), backbone)["model"].eval()
    x = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert _close(model(x), _features(checkpoint, cifar | {"depth": 18}, x))


@pytest.mark.slow
def test_timm(extracted: Extract) -> None:
    pytest.importorskip("timm", reason="needs timm: pip install timm")
    checkpoint, backbone = extracted("timm", **FULL)
    names, image = _run(_snippet("timm"), backbone), _image()
    model = names["model"].eval()
    assert model.fc.out_features == 10
    (normalize,) = (step for step in names["transform"].transforms if "Normalize" in str(step))
    seen = normalize(pil_to_tensor(image) / 255)
    with torch.no_grad():
        pooled = model.forward_head(model.forward_features(seen[None]), pre_logits=True)
    assert _close(pooled, _pooled(checkpoint, image))


def _config(snippet: str, backbone: Path, folder: Path) -> Config:
    """The config of a snippet with a narrow backbone, whose weights are in a file."""
    path = folder / "snippet.py"
    path.write_text(snippet.replace("'BACKBONE'", repr(str(backbone))))
    cfg = Config.fromfile(path)
    cfg.model.backbone.update(base_channels=WIDTH, stem_channels=WIDTH)
    return cfg


def _trained(cfg: Config, scope: str, backbone: Path, batch: dict) -> None:
    """Builds the model as a runner does, finds every tensor in its place, and takes a step."""
    with DefaultScope.overwrite_default_scope(scope):
        model = revert_sync_batchnorm(MODELS.build(cfg.model))
        model.init_weights()
        expected = torch.load(backbone, weights_only=True)["state_dict"]
        state = model.backbone.state_dict()
        assert state.keys() == expected.keys()
        assert all(torch.equal(state[name], value) for name, value in expected.items())
        assert model.data_preprocessor.mean.flatten().tolist() == pytest.approx(
            [123.675, 116.28, 103.53]
        )
        model.train()
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        losses = model(**data, mode="loss")
    total = sum(
        sum(value) if isinstance(value, list) else value
        for k, value in losses.items()
        if "loss" in k
    )
    total.backward()
    assert model.backbone.conv1.weight.grad.abs().sum() > 0


@pytest.mark.slow
@needs_detection
def test_mmdetection(extracted: Extract, tmp_path: Path) -> None:
    from mmdet.structures import DetDataSample

    _, backbone = extracted("mmdet")
    cfg = _config(_snippet("mmdet::"), backbone, tmp_path)
    cfg.model.neck.in_channels = [WIDTH * 4 * 2**i for i in range(4)]
    sample = DetDataSample(metainfo={"img_shape": (128, 128), "pad_shape": (128, 128)})
    boxes = torch.tensor([[10.0, 10.0, 90.0, 90.0]])
    sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.tensor([3]))
    image = torch.randint(256, (3, 128, 128), dtype=torch.uint8)
    _trained(cfg, "mmdet", backbone, {"inputs": [image], "data_samples": [sample]})


@pytest.mark.slow
def test_mmsegmentation(extracted: Extract, tmp_path: Path) -> None:
    reason = "needs mmsegmentation: pip install --no-deps onedl-mmsegmentation ftfy prettytable"
    pytest.importorskip("mmseg", reason=reason)
    _, backbone = extracted("mmdet")
    cfg = _config(_snippet("mmseg"), backbone, tmp_path)
    import mmseg.models  # noqa: F401  (after mixssl, which the config imports)
    from mmseg.structures import SegDataSample

    cfg.model.data_preprocessor.size = (64, 64)
    for head in (cfg.model.decode_head, cfg.model.auxiliary_head):
        head.update(in_channels=head.in_channels * WIDTH // 64, channels=8)
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.randint(21, (1, 64, 64)))) for _ in "ab"
    ]
    images = [torch.randint(256, (3, 64, 64), dtype=torch.uint8) for _ in samples]
    _trained(cfg, "mmseg", backbone, {"inputs": images, "data_samples": samples})


@pytest.mark.slow
def test_detectron2(extracted: Extract) -> None:
    pytest.importorskip("detectron2", reason="needs Detectron2, which is on no package registry")
    from detectron2.checkpoint import DetectionCheckpointer
    from detectron2.modeling import build_model

    checkpoint, backbone = extracted("detectron2", **FULL)
    cfg = _run(_snippet("detectron2"), backbone)["cfg"]
    cfg.MODEL.DEVICE, cfg.MODEL.RESNETS.NORM = "cpu", "BN"
    model = build_model(cfg).eval()
    DetectionCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    image = _image()
    pixels = (pil_to_tensor(image).float() - model.pixel_mean) / model.pixel_std
    with torch.no_grad():
        res4 = model.backbone(pixels[None])["res4"]
        pooled = model.roi_heads.res5(res4).mean((2, 3))
    assert _close(pooled, _pooled(checkpoint, image))
