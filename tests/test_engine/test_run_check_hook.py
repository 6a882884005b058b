"""Runs that can't be meant."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmpretrain.datasets import CustomDataset
from support.first_config import write_images
from support.methods_more import distill
from support.tiny import build
from support.toy_run import NoisyImages, ToyModel, toy_runner
from torch import nn

from mixssl.engine.hooks import RunCheckHook
from mixssl.engine.hooks.run_check_hook import _check_queue
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import MOVED


def _loader(dataset: Any, batch_size: int = 2) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "batch_size": batch_size,
        "drop_last": True,
        "num_workers": 0,
    }


def _checked(folder: Path, **changes: Any) -> str:
    """The log of a run that is checked, and then does nothing."""
    runner = toy_runner(folder, [], **{"log_level": "INFO", "train_cfg": ONCE, **changes})
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    RunCheckHook().before_train(runner)
    (log,) = folder.glob("*/*.log")
    return log.read_text()


ONCE = {"by_epoch": True, "max_epochs": 1}


class Images(CustomDataset):
    """mmpretrain's under another name, which stands for one that knows what it reads."""


def test_a_flat_folder_with_a_stray_subfolder_is_refused(tmp_path: Path) -> None:
    root = write_images(tmp_path / "images", 6)
    write_images(root / "stray", 2)
    with pytest.raises(ConfigError, match="has 6 images outside of folders, and with_label=True"):
        _checked(tmp_path / "run", train_dataloader=_loader(CustomDataset(data_root=str(root))))
    all_of_them = CustomDataset(data_root=str(root), with_label=False)
    log = _checked(tmp_path / "all", train_dataloader=_loader(all_of_them))
    assert "on 8 images of CustomDataset: 4 steps of 2 images an epoch, 1 epochs, 4 steps" in log
    assert "outside of folders" not in log
    _checked(tmp_path / "other", train_dataloader=_loader(Images(data_root=str(root))))


def test_a_few_images_beside_the_folders_are_said(tmp_path: Path) -> None:
    root = write_images(tmp_path / "images", 1)
    write_images(root / "class", 4)
    log = _checked(tmp_path, train_dataloader=_loader(CustomDataset(data_root=str(root))))
    assert "has 1 images outside of folders, and with_label=True reads the 4 inside" in log


def test_images_that_are_not_read_are_said(tmp_path: Path) -> None:
    root = write_images(tmp_path / "images", 4)
    for name in ("a.webp", "b.WEBP", "c.tiff", "notes.txt"):
        (root / name).touch()
    dataset = CustomDataset(data_root=str(root), with_label=False)
    log = _checked(tmp_path, train_dataloader=_loader(dataset))
    assert f"3 images in {root} are not read, for their endings .tiff, .webp: set" in log
    assert "extensions=('.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff'," in log


@pytest.mark.parametrize("option", MOVED)
def test_options_that_would_be_ignored_are_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(ConfigError, match=f"sets {option}=True, which is read no more: "):
        _checked(tmp_path, cfg={option: True})
    _checked(tmp_path / "off", cfg={option: False})


@pytest.mark.parametrize("batch_size", [25, 100])
def test_an_epoch_without_a_step_is_refused(tmp_path: Path, batch_size: int) -> None:
    with pytest.raises(ConfigError, match="24 images and a batch takes .* to at most 24"):
        _checked(tmp_path, train_dataloader=_loader(NoisyImages(), batch_size))


@pytest.mark.parametrize(
    ("loop", "line"),
    [
        ({"by_epoch": True, "max_epochs": 0}, "max_epochs is 0, and a run needs at least 1"),
        ({"by_epoch": False, "max_iters": 0}, "max_iters is 0"),
    ],
)
def test_a_run_without_length_is_refused(tmp_path: Path, loop: dict, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        _checked(tmp_path, train_cfg=loop)


class SomeHead(nn.Module):
    """A head with a number of classes."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes


class SomeRPNHead(SomeHead):
    """One whose number is not the data's."""


@pytest.mark.parametrize(("classes", "fits"), [(("cat", "dog"), True), (("raccoon",), False)])
def test_a_head_for_other_classes_is_refused(tmp_path: Path, classes: tuple, fits: bool) -> None:
    model, data = ToyModel(), NoisyImages()
    model.head, model.rpn = SomeHead(2), SomeRPNHead(1)
    data.metainfo = {"classes": classes}
    if fits:
        _checked(tmp_path, model=model, train_dataloader=_loader(data))
        return
    with pytest.raises(ConfigError, match=r"head.num_classes is 2, .* 1 class \(raccoon\): set"):
        _checked(tmp_path, model=model, train_dataloader=_loader(data))


def _with_backbone(width: int) -> ToyModel:
    model = ToyModel()
    model.backbone = nn.Sequential(nn.Linear(4, width), nn.BatchNorm1d(width))
    return model


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("wrapped", ["", "module."])
def test_a_start_must_give_the_backbone_all_its_weights(
    tmp_path: Path, resume: bool, wrapped: str
) -> None:
    runner = toy_runner(tmp_path, [], model=_with_backbone(4), load_from="x.pth", resume=resume)
    state = {f"{wrapped}{name}": value for name, value in _with_backbone(4).state_dict().items()}
    RunCheckHook().after_load_checkpoint(runner, {"state_dict": {**state, "head": torch.ones(1)}})
    del state[f"{wrapped}backbone.1.num_batches_tracked"]  # as in files of old
    RunCheckHook().after_load_checkpoint(runner, state)
    other = {"state_dict": _with_backbone(5).state_dict()}
    if resume:  # which ExactResumeHook checks, and all of the model
        RunCheckHook().after_load_checkpoint(runner, other)
        return
    with pytest.raises(ConfigError, match=r"'x.pth', .* backbone: 6 of another shape \(backb"):
        RunCheckHook().after_load_checkpoint(runner, other)


def test_a_model_without_a_backbone_starts_from_anything(tmp_path: Path) -> None:
    runner = toy_runner(tmp_path, [], load_from="x.pth")
    RunCheckHook().after_load_checkpoint(runner, {"state_dict": {"linear.bias": torch.ones(7)}})


def test_a_queue_of_more_features_than_images_is_refused() -> None:
    loader = SimpleNamespace(dataset=range(60))
    runner: Any = SimpleNamespace(model=build(distill(queue_len=64)), train_dataloader=loader)
    with pytest.raises(ConfigError, match="64, and there are 60 images .* set model.queue_len=32"):
        _check_queue(runner)
