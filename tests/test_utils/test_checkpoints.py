"""Checkpoints are read without running what is in them; what is none is refused with the reason."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from support.checkpoints import pretraining

from mixssl.utils.checkpoints import read_checkpoint, settings_in
from mixssl.utils.errors import ConfigError


class _Command:
    """Unpickled the usual way, it runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def test_weights_and_notes_of_a_training_run_are_read(tmp_path: Path) -> None:
    model = pretraining(tmp_path / "epoch_3.pth")
    read = read_checkpoint(tmp_path / "epoch_3.pth")
    state = model.state_dict()
    assert list(read.state) == list(state)
    assert all(torch.equal(read.state[name], value) for name, value in state.items())
    assert read.state["queue_ptr"].dtype == torch.int64
    assert (read.meta["epoch"], read.meta["iter"]) == (3, 30)
    assert read.settings == {
        "data_preprocessor": {
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
            "to_rgb": True,
        },
        "model": {
            "backbone": {
                "type": "ResNet",
                "depth": 18,
                "base_channels": 16,
                "stem_channels": 16,
            }
        },
    }
    assert len(read.sha256) == 64


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_run(zipped: bool, tmp_path: Path) -> None:
    victim = tmp_path / "ran"
    content = {
        "state_dict": {"conv1.weight": torch.ones(2, dtype=torch.float16)},
        "meta": {"time": "now", "hook": _Command(f"touch {victim}")},
        "args": _Command(f"touch {victim}"),
    }
    path = tmp_path / "evil.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(path)
    assert torch.equal(read.state["conv1.weight"], torch.ones(2, dtype=torch.float16))
    assert read.meta["time"] == "now" and not victim.exists()
    torch.load(path, weights_only=False)
    assert victim.exists()  # so the file would have


def test_a_parameter_a_slice_and_a_bare_state_dict_are_weights(tmp_path: Path) -> None:
    weights = torch.arange(6.0).view(2, 3)
    path = tmp_path / "bare.pth"
    torch.save({"a": torch.nn.Parameter(weights), "b": weights[:, 1], "n": 3}, path)
    read = read_checkpoint(path)
    assert read.state.keys() == {"a", "b"} and read.meta == {}
    assert torch.equal(read.state["b"], weights[:, 1])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "pointer of git-lfs"),
        (b"<!DOCTYPE html>", "is no checkpoint of torch, or only a part of one (15 bytes"),
        (b"", "is no checkpoint of torch, or only a part of one (0 bytes"),
        (pickle.dumps([1, 2]), "is no checkpoint of torch"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_checkpoint(path)
    assert reason in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_part_of_a_checkpoint_is_refused(zipped: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(1000)}, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ConfigError, match="or only a part of one"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([torch.zeros(1)], "holds a list and no dict of weights"),
        (_Command("true"), "holds an object of an unknown class"),
        ({"optimizer": {"lr": 1}, "epoch": 2}, "holds no weights, only optimizer, epoch"),
        ({}, "only an empty dict"),
    ],
)
def test_a_file_without_weights_is_refused(content: Any, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(content, path)
    with pytest.raises(ConfigError, match=reason):
        read_checkpoint(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(ConfigError, match="there is no checkpoint"):
            read_checkpoint(path)


def test_settings_are_plain_values_and_nothing_is_run() -> None:
    text = "a = dict(b=[1, (2.5, None)], c={'d': -1})\ne = print('x')\nf = dict(**a)\ng = {**a}\nh.i = 1\n"
    assert settings_in(text) == {"a": {"b": [1, (2.5, None)], "c": {"d": -1}}}
    assert settings_in("a = (") == {}
