"""Mistakes that people make, and the one line that each gets: what it is, what is allowed, and the way out."""

from __future__ import annotations

import errno
import logging
import os
import re
from pathlib import Path

import pytest
import torch
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS
from PIL import Image
from support.first_config import write_first_config, write_images
from support.methods import byol
from support.tools import call_tool, write_tiny

from mixssl.engine import atomic_writes

WITH_OPTIONS = {
    "a mixer inside the model": (
        ["model.data_preprocessor.mixer.type=mixssl.UnMix"],
        r"model.data_preprocessor is set, and .*mean, .*std.* would not be read: .*data_preprocessor.mixer=",
    ),
    "no mixer inside the model": (
        ["model.data_preprocessor.mixer=None"],
        r"model.data_preprocessor is set, and .*mean, .*std.* would not be read: ",
    ),
    "a batch of one image": (
        ["train_dataloader.batch_size=1"],
        r"batch_size is 1, and a mixture needs at least 2 images: raise it$",
    ),
    "a batch of one image, and no mixture": (
        ["train_dataloader.batch_size=1", "data_preprocessor.mixer=None"],
        r"MixMoCo got a batch of 1 and needs at least 2 images per device: raise batch_size, or",
    ),
    "data smaller than a batch": (
        ["train_dataloader.dataset.indices=10", "model.queue_len=32"],
        r"dataset has 10 images and a batch takes 16, .* no step: set train_dataloader.batch_size to at most 10",
    ),
    "a top-level key misspelled": (
        ["linear_probs.lr=1"],
        r"linear_probs.lr=1 would change nothing: .* did you mean 'linear_probe'",
    ),
    "a top-level key that has moved": (
        ["in_memory.max_bytes=1"],
        r"sets in_memory=1, which is read no more: give --in-memory, or put mixssl.InMemory around",
    ),
    "a top-level key that nothing reads": (
        ["whatever.it=1"],
        r"whatever.it=1 would change nothing: the config has no whatever, and nothing reads it$",
    ),
    "a key without a value": (["amp"], r"--cfg-options got 'amp', which is no KEY=VALUE"),
    "a value with half a bracket": (["train_cfg.val_interval=[1,(2"], r"don't pair up"),
    "an item that a list has not": (
        ["param_scheduler.99.gamma=1"],
        r"param_scheduler.99.gamma does not fit the config: Index 99 exceeds the length",
    ),
    "a hook by its number": (
        ["custom_hooks.6.interval=1"],
        r"custom_hooks is {'6': {'interval': 1}} and must be a list: .* default_hooks.NAME.interval=5.* graceful_stop",
    ),
    "a hook's name misspelled": (
        ["default_hooks.gracefull_stop.interval=1"],
        r"default_hooks.gracefull_stop is .* has no type.* did you mean 'graceful_stop'",
    ),
    "a hook that stands twice": (
        ["custom_hooks=[{'type':'mixssl.ProgressHook'}]"],
        r"ProgressHook stands in custom_hooks, and default_hooks.progress is another: take it out",
    ),
    "the papers' momentum": (
        ["model.momentum=0.99"],
        r"momentum is 0.99, .* weighs the new value, .* did you mean 0.01",
    ),
    "an argument of the mixer misspelled": (
        ["data_preprocessor.mixer.alhpa=1"],
        r"UnMix takes no alhpa, did you mean 'alpha'$",
    ),
    "a mixer that is none": (
        ["data_preprocessor.mixer.type=mixssl.UnMx"],
        r"type is 'mixssl.UnMx', and no .* has that name, did you mean 'UnMix'$",
    ),
    "an argument of a loader misspelled": (
        ["train_dataloader.batchsize=32"],
        r"DataLoader takes no batchsize, did you mean 'batch_size'$",
    ),
    "an argument of the backbone misspelled": (
        ["model.backbone.detph=18"],
        r"ResNet\w* takes no detph, did you mean 'depth'$",
    ),
    "an argument of the model misspelled": (
        ["model.symetric=True"],
        r"MixMoCo takes no symetric, did you mean 'symmetric': take it out",
    ),
    "an argument of the loop misspelled": (
        ["train_cfg.max_epoch=3", "train_cfg.type=EpochBasedTrainLoop"],
        r"EpochBasedTrainLoop takes no max_epoch, did you mean 'max_epochs'$",
    ),
    "a method of mmpretrain's with our keys": (
        ["model.type=mmpretrain.MoCo"],
        r"MoCo takes no mix_head: take type='mixssl.Mix\w+'.*, which does",
    ),
    "a data preprocessor of mmpretrain's with a mixer": (
        ["data_preprocessor.type=SelfSupDataPreprocessor"],
        r"SelfSupDataPreprocessor takes no mixer: take type='mixssl.InstanceMixDataPreprocessor'",
    ),
    "a head that does not fit the mixer": (
        ["model.mix_head._delete_=True", "model.mix_head.type=mixssl.IntraLocalGlobalHead"],
        r"IntraLocalGlobalHead reads mixtures laid out as .*, and UnMix makes them as rows: choose",
    ),
    "alpha below 0": (
        ["data_preprocessor.mixer.alpha=-1"],
        r"alpha of UnMix is -1 and must be > 0",
    ),
    "p_global above 1": (
        ["data_preprocessor.mixer.p_global=2"],
        r"p_global of UnMix is 2 and must lie in \[0, 1\]",
    ),
    "one view": (
        ["train_dataloader.dataset.pipeline.0.num_views=1"],
        r"1 view",
    ),
    "a batch that SplitBN can't split": (
        [
            "model.backbone.norm_cfg.type=mixssl.SplitBN",
            "model.backbone.norm_cfg.num_splits=7",
        ],
        r"SplitBN got a batch of 16, which does not divide by num_splits 7: change batch_size",
    ),
    "a collate function that is none": (
        ["train_dataloader.collate_fn.type=default_colate"],
        r"the type of collate_fn names no function",
    ),
    "a backend of the log that is none": (
        ["visualizer.vis_backends=[{'type':'WandVisBackend'}]"],
        r"type is 'WandVisBackend', and no vis_backend\w* has that name, did you mean 'WandbVis",
    ),
    "a precision that is none": (
        ["amp=bf16"],
        r"sets amp='bf16', which is read no more: give --amp bfloat16, or set optim_wrapper.type",
    ),
    "no epoch": (["train_cfg.max_epochs=0"], r"train_cfg.max_epochs is 0, .* at least 1"),
}
"""What is given as --cfg-options, and the line that it gets."""


@pytest.fixture(autouse=True)
def _loggers_of_earlier_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """They write to what was captured for another test, and is closed."""
    monkeypatch.setattr(logging, "raiseExceptions", False)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("config"), epochs=1)


def said(capfd: pytest.CaptureFixture[str], name: str = "train.py") -> str:
    """The one line of a tool that has refused, without a traceback before it."""
    text = capfd.readouterr().err
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}: ")]
    return line


@pytest.mark.parametrize(("options", "line"), WITH_OPTIONS.values(), ids=WITH_OPTIONS)
def test_an_option_that_can_not_work_gets_one_line(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], line: str
) -> None:
    assert call_tool("train", tiny, "--work-dir", tmp_path, "--cfg-options", *options) == 2
    assert re.search(line, said(capfd))
    assert not list(tmp_path.glob("*.pth"))


def test_a_misspelled_key_of_a_config_file_is_named(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "misspelled.py"
    path.write_text(f"_base_ = [{str(tiny)!r}]\nlinear_probes = 1\nmine = 1\n")
    assert call_tool("train", path, "--work-dir", tmp_path / "run") == 2
    line = said(capfd)
    assert "sets linear_probes, which nothing reads, did you mean 'linear_probe'?" in line


def test_a_method_that_can_not_carry_a_mixture(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = {"_delete_": True, **byol(), "mix_head": {"type": "mixssl.MixCoHead"}}
    mixer = {"_delete_": True, "type": "mixssl.MixCo"}
    del model["data_preprocessor"]
    path = tmp_path / "byol.py"
    path.write_text(
        f"_base_ = [{str(tiny)!r}]\nmodel = {model}\ndata_preprocessor = dict(mixer={mixer})\n"
    )
    assert call_tool("train", path, "--work-dir", tmp_path / "run") == 2
    assert "MixCoHead" in (line := said(capfd)) and "MixBYOL" in line


def test_an_argument_that_belongs_to_the_launcher(
    tiny: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert call_tool("train", tiny, 8) == 2
    assert said(capfd) == "train.py: error: unrecognized arguments: 8"


@TRANSFORMS.register_module()
class NoNumbers(BaseTransform):
    """Images, or views of them, without one pixel that is a number."""

    def transform(self, results: dict) -> dict:
        inputs = results["inputs"]
        views = inputs if isinstance(inputs, list) else [inputs]
        spoilt = [torch.full(view.shape, torch.nan) for view in views]
        results["inputs"] = spoilt if isinstance(inputs, list) else spoilt[0]
        return results


def _log(work_dir: Path) -> str:
    """What the last run has written into its log."""
    return max(work_dir.glob("*/*.log"), key=lambda path: path.stat().st_mtime).read_text()


@pytest.fixture(scope="module")
def finished(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Work directory of a run of one epoch."""
    work_dir = tmp_path_factory.mktemp("finished")
    options = ["--cfg-options", "model.queue_len=96"]
    assert call_tool("train", tiny, "--work-dir", work_dir, *options) == 0
    return work_dir


def test_the_log_says_what_is_trained_and_of_a_queue_that_is_too_long(finished: Path) -> None:
    log = _log(finished)
    said = r"Training MixMoCo with UnMix \(\d\d,\d{3} parameters\) on 160 images of Digits: "
    assert re.search(said + "10 steps of 16 images an epoch, 1 epochs, 10 steps in all", log)
    assert "queue_len is 96, more than half of the 160 images" in log
    assert "Take at most 80" in log


def test_a_finished_run_that_is_resumed_says_so(tiny: Path, finished: Path) -> None:
    options = ["--cfg-options", "model.queue_len=96"]
    assert call_tool("train", tiny, "--work-dir", finished, "--resume", *options) == 0
    log = _log(finished)
    assert "Nothing is left to train: " in log and "raise train_cfg.max_epochs above 1." in log


def test_weights_of_another_architecture_are_no_start(
    tiny: Path, finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["model.backbone.depth=34", f"load_from={finished / 'epoch_1.pth'}"]
    assert call_tool("train", tiny, "--work-dir", tmp_path, "--cfg-options", *options) == 2
    line = said(capfd)
    assert "load_from is " in line and "not those of the model's backbone: " in line
    assert "missing (backbone.layer1.2.bn1.bias" in line


def _cut(path: Path, share: float) -> None:
    """Leaves the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def test_a_cut_off_checkpoint_is_no_start(
    tiny: Path, finished: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cut = tmp_path / "epoch_1.pth"
    cut.write_bytes((finished / "epoch_1.pth").read_bytes())
    _cut(cut, 0.5)
    for arguments in (["--resume", cut], ["--cfg-options", f"load_from={cut}"]):
        assert call_tool("train", tiny, "--work-dir", tmp_path / "run", *arguments) == 2
        assert "is no checkpoint of torch, or only a part of one" in said(capfd)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config on a folder of images."""
    return write_first_config(tmp_path_factory.mktemp("first"), images=16)


def _spoil(path: Path, how: str) -> None:
    if how == "empty":
        path.write_bytes(b"")
    elif how == "of another size":
        Image.new("RGB", (30, 40)).save(path)
    else:
        _cut(path, 0.3)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("how", "line"),
    [
        ("cut off", r"3.png can't be read as an image.*: mend this file, or leave it out$"),
        ("empty", r"3.png can't be read as an image.*: mend this file, or leave it out$"),
        (
            "of another size",
            r"images of a batch differ in size: .*png \d+x\d+, but .*: resize and crop them to one size",
        ),
    ],
)
def test_an_image_that_is_in_the_way_is_named(
    first: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    how: str,
    line: str,
    workers: int,
) -> None:
    images = write_images(tmp_path / "images", 8)
    _spoil(images / "3.png", how)
    options = [
        f"train_dataloader.dataset.data_root={images}",
        f"train_dataloader.num_workers={workers}",
        "model.queue_len=8",
    ]
    if how == "of another size":
        options.append("train_dataloader.dataset.pipeline.1.transforms=[[]]")
    assert call_tool("train", first, "--work-dir", tmp_path, "--cfg-options", *options) == 2
    found = said(capfd)
    assert re.search(line, found) and "3.png" in found


SPOILT = {
    "to train on": (
        "train_dataloader = dict(dataset=dict(pipeline=[*_base_.train_pipeline, dict(type='NoNumbers')]))",
        3,
    ),
    "to measure with": (
        "knn_bank = dict(dataset=dict(pipeline=[*_base_.test_pipeline, dict(type='NoNumbers')]))\n"
        "default_hooks = dict(knn=dict(type='mixssl.KNNMonitorHook', k=5))",
        2,
    ),
}
"""Images of NaN, and the exit code that they get."""


@pytest.mark.parametrize(("text", "code"), SPOILT.values(), ids=SPOILT)
def test_pixels_that_are_no_numbers_are_blamed(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, code: int
) -> None:
    path = tmp_path / "spoilt.py"
    path.write_text(f"_base_ = [{str(tiny)!r}]\n{text}\n")
    assert call_tool("train", path, "--work-dir", tmp_path / "run") == code
    line = said(capfd)
    assert "are NaN or infinite" in line and "learning rate" not in line


@pytest.mark.parametrize(
    ("collate", "line"),
    [
        ("default_collate", r"images of a batch differ in size: .*1.png 40x30"),
        ("pseudo_collate", r"unstacked: set its collate_fn=dict\(type='default_collate'\)"),
    ],
)
def test_images_that_can_not_be_judged(
    first: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], collate: str, line: str
) -> None:
    Image.new("RGB", (30, 40)).save(write_images(tmp_path / "images" / "a", 3) / "1.png")
    pipeline = [{"type": "LoadImageFromFile"}, {"type": "PackInputs"}]
    loader = {
        "batch_size": 3,
        "dataset": {
            "type": "CustomDataset",
            "data_root": str(tmp_path / "images"),
            "pipeline": pipeline,
        },
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": collate},
    }
    path = tmp_path / "judged.py"
    path.write_text(f"_base_ = [{str(first)!r}]\nknn_bank = knn_query = {loader}\n")
    assert call_tool("evaluate/knn", path, "untrained", "--k", 1) == 2
    assert re.search(line, said(capfd, "knn.py"))


def test_a_folder_of_four_classes_is_not_imagenet(
    first: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in "abcd":
        write_images(tmp_path / "train" / name, 2)
    options = [
        "train_dataloader.dataset._delete_=True",
        "train_dataloader.dataset.type=ImageNet",
        "train_dataloader.dataset.split=train",
        f"train_dataloader.dataset.data_root={tmp_path}",
    ]
    assert call_tool("train", first, "--work-dir", tmp_path, "--cfg-options", *options) == 2
    line = said(capfd)
    assert "ImageNet: The number of subfolders (4) doesn't match" in line
    assert "take dataset.type=CustomDataset, and with_label=False where they have no" in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("_base_ = ['./gone.py']\n", r"gone.py. does not exist|gone.py"),
        (
            "_base_ = ['mixssl::unmix/moco_r81_cifar10.py']\n",
            r"mixssl has no config 'unmix/moco_r81",
        ),
        ("model = dict(\n", r"was never closed in line 1"),
        ("model = dict(depth=depht)\n", r"NameError in line 1 of .*mine.py: name 'depht'"),
        (
            "custom_imports = dict(imports=['my_module'])\n",
            r"my_module.*add its folder to PYTHONPATH",
        ),
        (
            "_base_ = ['./small.py']\nx = [*_base_.custom_hook]\n",
            r"AttributeError in line 2 of .*mine",
        ),
    ],
)
def test_a_config_that_can_not_be_read(
    first: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, line: str
) -> None:
    path = first.with_name("mine.py")
    path.write_text(text)
    assert call_tool("train", path, "--work-dir", tmp_path) == 2
    found = said(capfd)
    assert f"{path} can't be read: " in found and re.search(line, found)


def test_a_folder_that_can_not_be_written_to(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()  # permissions mean nothing to who runs tests as root
    assert call_tool("train", tiny, "--work-dir", tmp_path / "file" / "run") == 2
    assert f"{tmp_path / 'file'}" in said(capfd)


def test_a_full_disk_is_one_line(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic_writes.os, "fsync", full)
    assert call_tool("train", tiny, "--work-dir", tmp_path) == 2
    assert re.search(r"epoch_1.pth: No space left on device: make room, or name a", said(capfd))
    assert not list(tmp_path.glob("*.pth"))


def test_the_traceback_is_there_for_those_who_want_it(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = ["--traceback", "--cfg-options", "data_preprocessor.mixer.alhpa=1"]
    assert call_tool("train", tiny, "--work-dir", tmp_path, *options) == 2
    text = capfd.readouterr().err
    assert "Traceback (most recent call last)" in text
    assert text.splitlines()[-1] == "train.py: UnMix takes no alhpa, did you mean 'alpha'"
