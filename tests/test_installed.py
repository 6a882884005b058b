"""mixssl as pip installs it, used by programs that know nothing of it: mmpretrain's train.py and mim."""

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

import pytest
from support.images import write_folder
from support.needs_detection import needs_detection
from support.packaging import build_wheel, copy_source, environment_with, run

pytestmark = pytest.mark.slow

TINY = """
model = dict(
    queue_len=64, feat_dim=8, backbone=dict(stem_channels=4, base_channels=4),
    neck=dict(in_channels=32, hid_channels=8, out_channels=8))
train_dataloader = dict(
    batch_size=16, num_workers=0, persistent_workers=False, dataset=dict(indices=64))
train_cfg = dict(max_epochs=1)
"""
DIGITS = "_base_ = ['mixssl::demo/unmix_mocov2_r18_digits.py']"
NEWER = """
from mmengine.config import read_base

with read_base():
    from mixssl.configs.demo.unmix_mocov2_r18_digits import *

model.update(queue_len=64)
train_cfg.update(max_epochs=1)
train_dataloader.update(batch_size=16)
train_dataloader['dataset'].update(indices=64)
"""


@pytest.fixture(scope="module", params=["wheel", "editable"])
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment into which mixssl is installed."""
    folder = tmp_path_factory.mktemp(request.param)
    source = copy_source(folder / "source")
    what = ("-e", source) if request.param == "editable" else (build_wheel(source, folder),)
    return environment_with(folder / "venv", *what)


def _tool_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / ".mim/tools/train.py"


@pytest.mark.parametrize("config", [DIGITS + TINY, NEWER], ids=["_base_", "read_base"])
def test_a_train_py_that_is_not_ours_trains_from_our_bases(
    python: Path, tmp_path: Path, config: str
) -> None:
    (tmp_path / "mine.py").write_text(config)
    run(python, _tool_of("mmpretrain"), "mine.py", "--work-dir", "out", cwd=tmp_path)
    assert (tmp_path / "out/epoch_1.pth").is_file()


DETECTOR = """
_base_ = ['mixssl::benchmarks/detection/mask_rcnn_r18_fpn_digits.py']
model = dict(init_cfg=dict(checkpoint='random'))
train_dataloader = dict(batch_size=2, dataset=dict(num_scenes=4))
val_dataloader = dict(batch_size=2, dataset=dict(num_scenes=2))
train_cfg = dict(max_iters=2, val_interval=2)
default_hooks = dict(checkpoint=dict(interval=2))
"""


@needs_detection
@pytest.mark.parametrize("program", ["mixssl", "mmdet"])
def test_a_detector_of_ours_trains_where_nothing_but_packages_is_there(
    python: Path, tmp_path: Path, program: str
) -> None:
    (tmp_path / "mine.py").write_text(DETECTOR)
    train = ["-m", "mixssl", "train"] if program == "mixssl" else [_tool_of("mmdet")]
    said = run(python, *train, "mine.py", "--work-dir", "out", cwd=tmp_path)
    assert "coco/segm_mAP" in said and (tmp_path / "out/iter_2.pth").is_file()


def test_mim_trains_and_finds(python: Path, tmp_path: Path) -> None:
    pytest.importorskip("mim", reason="needs mim: pip install openmim")
    names = importlib.metadata.packages_distributions()["mim"]
    (tmp_path / "mine.py").write_text(DIGITS + TINY)
    mim = (python, "-m", "mim")
    run(*mim, "train", "onedl-mmpretrain", "mine.py", "--gpus=0", "--work-dir=out", cwd=tmp_path)
    assert (tmp_path / "out/epoch_1.pth").is_file()
    wheel = python.parents[2].name.startswith("wheel")
    if wheel == ("onedl-mim" in names):
        pytest.skip(
            f"{names} looks for a package in a folder where this kind of installation has none"
        )
    found = run(*mim, "search", "mixssl", "--config", "unmix_mocov2_r50_in1k", cwd=tmp_path)
    assert "configs/unmix/mocov2_r50_in1k.py" in found
    run(*mim, "train", "mixssl", "mine.py", "--gpus=0", "--work-dir=ours", cwd=tmp_path)
    assert (tmp_path / "ours/epoch_1.pth").is_file()


SAME = """
import timm, torch
from mixssl.cli.embed import read_backbone
from mixssl.transfer.backbone_folder import build_backbone
images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
there = timm.create_model('local-dir:out/backbone', pretrained=True).eval()
with torch.no_grad():
    here = build_backbone(read_backbone('out/backbone'))(images)[-1].mean((2, 3))
    print(float((there(images) - here).abs().max()))
"""


def test_a_folder_becomes_a_backbone_that_timm_loads(python: Path, tmp_path: Path) -> None:
    pytest.importorskip("timm")
    write_folder(tmp_path / "images", 24)
    sizes = ("--epochs=1", "--batch-size=8", "--view-size=32", "--stem=7x7", "--held-back=4")
    command = (python.parent / "mixssl", "pretrain", "images", "--out", "out", *sizes)
    run(*command, cwd=tmp_path)
    assert float(run(python, "-c", SAME, cwd=tmp_path).split()[-1]) <= 1e-5


def test_uninstalling_leaves_nothing_that_python_would_read(python: Path) -> None:
    site = next(python.parents[1].glob("lib/python*/site-packages"))
    assert (site / "mixssl.pth").is_file() and (site / "_mixssl_bases.py").is_file()
    run(sys.executable, "-m", "pip", "--python", python, "uninstall", "-qy", "mixssl", cwd=site)
    assert [path.name for path in site.iterdir() if "mixssl" in path.name] == []
