"""Checkpoints are read without running what is in them; what is none, or doesn't fit, is refused with the reason."""

from __future__ import annotations

import argparse
import os
import pickle
import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from support.checkpoints import pretraining

from mixssl.utils.checkpoints import mismatch, part_of, read_checkpoint, state_dict_of
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
    content = {"state_dict": {"conv1.weight": torch.ones(2)}, "args": _Command(f"touch {victim}")}
    path = tmp_path / "evil.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ConfigError, match=r"system"):
        read_checkpoint(path)
    assert not victim.exists()
    torch.load(path, weights_only=False)
    assert victim.exists()  # so the file would have


class _Noisy:
    """What another program has beside its weights; it writes a file wherever it is built."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> Any:
        return _noise, (self.victim,), {"victim": self.victim}


def _noise(victim: Path) -> _Noisy:
    victim.touch()
    return _Noisy(victim)


def test_what_lies_beside_the_weights_is_left_alone(tmp_path: Path) -> None:
    victim = tmp_path / "ran"
    others = {
        "noisy": _Noisy(victim),
        "buffer": HistoryBuffer([1.0, 0.5], [1, 1]),
        "config": ConfigDict(a={"b": 1}),
        "numpy": [np.float32(1), np.int64(2), np.arange(3.0), np.bool_(True)],
        "options": argparse.Namespace(lr=0.1, out=Path("x")),
        "counts": defaultdict(list, a=[1]),
        "random": (3, [random.getstate(), {1, 2}, b"bytes"]),
    }
    content = {"state_dict": {"a": torch.ones(2).half()}, "meta": {"epoch": 3, **others}, **others}
    torch.save(content, tmp_path / "x.pth")
    read = read_checkpoint(tmp_path / "x.pth")
    assert torch.equal(read.state["a"], torch.ones(2).half()) and read.meta["epoch"] == 3
    assert not victim.exists()
    torch.load(tmp_path / "x.pth", weights_only=False)
    assert victim.exists()


def test_options_in_an_old_file_are_left_alone(tmp_path: Path) -> None:
    content = {"model": {"a": torch.ones(2)}, "opt": argparse.Namespace(lr=0.1)}
    torch.save(content, tmp_path / "x.pth", _use_new_zipfile_serialization=False)
    assert read_checkpoint(tmp_path / "x.pth").state.keys() == {"a"}


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
        (argparse.Namespace(a=1), "holds a _StandIn and no dict of weights"),
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


def test_settings_are_plain_values_and_nothing_is_run(tmp_path: Path) -> None:
    text = "a = dict(b=[1, (2.5, None)], c={'d': -1})\ne = print('x')\nf = dict(**a)\ng = {**a}\nh.i = 1\n"
    for cfg, wanted in ((text, {"a": {"b": [1, (2.5, None)], "c": {"d": -1}}}), ("a = (", {})):
        torch.save({"state_dict": {"a": torch.ones(1)}, "meta": {"cfg": cfg}}, tmp_path / "x.pth")
        assert read_checkpoint(tmp_path / "x.pth").settings == wanted


def test_equal_names_and_shapes_are_no_difference() -> None:
    one, two = (
        {"a": torch.zeros(2), "b": torch.ones(3, 1)},
        {"b": torch.zeros(3, 1), "a": torch.ones(2)},
    )
    assert mismatch(one, two) == ""


def test_every_kind_of_difference_is_named() -> None:
    wanted = {"a": torch.zeros(2), "b": torch.zeros(1), "c": torch.zeros(1)}
    found = {"a": torch.zeros(3), "d": torch.zeros(1)}
    assert mismatch(wanted, found) == (
        "2 missing (b, c); 1 unexpected (d); 1 of another shape (a (3,) instead of (2,))"
    )
    assert mismatch(wanted, {}, most=1) == "3 missing (a, ...)"
    counted = {"a": torch.zeros(2), "bn.num_batches_tracked": torch.zeros(1)}
    assert mismatch(counted, {"a": torch.ones(2)}) == "1 missing (bn.num_batches_tracked)"
    assert mismatch(counted, {"a": torch.ones(2)}, counters=False) == ""


def test_state_dicts_are_found_and_wrappers_taken_off() -> None:
    value = torch.zeros(1)
    assert state_dict_of({"state_dict": {"module.a": value}, "meta": {}}) == {"a": value}
    assert state_dict_of({"a": value}) == {"a": value}


def test_parts() -> None:
    value = torch.zeros(1)
    whole = {"backbone.conv": value, "neck.fc": value, "head.x": value, "queue": value}
    assert part_of(whole, "backbone") == {"conv": value}
    assert part_of(whole, "neck") == {"fc": value}
    bare = {"conv": value, "fc.weight": value}
    assert part_of(bare, "backbone") == {"conv": value}
    assert part_of(bare, "neck") == {}


FILE = "resnet50-0676ba61.pth"
"""torchvision's first weights of a ResNet-50, which the papers' "supervised" rows start from."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """torch's cache, empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    return tmp_path / "checkpoints"


def _published(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"conv1.weight": torch.ones(2)}, path)


def test_weights_in_the_cache_are_not_fetched(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _published(cache / FILE)
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    found = read_checkpoint("torchvision://resnet50")
    assert found.path == cache / FILE and found.state.keys() == {"conv1.weight"}


def test_weights_are_fetched_once_and_their_hash_is_asked_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []

    def download(url: str, path: str, hash_prefix: str | None) -> None:
        fetched.append((url.rpartition("/")[2], hash_prefix))
        _published(Path(path))

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        assert read_checkpoint("torchvision://resnet50").path == cache / FILE
    assert fetched == [(FILE, "0676ba61")]


def test_what_is_not_to_be_had_is_refused_in_one_line(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no weights 'resnet50.v7': choose resnet50 or ") as error:
        read_checkpoint("torchvision://resnet50.v7")
    assert "\n" not in str(error.value)

    def unreachable(*_: object) -> None:
        raise OSError("no\nroute")

    monkeypatch.setattr(torch.hub, "download_url_to_file", unreachable)
    with pytest.raises(ConfigError, match=rf"can't be downloaded \(no route\): fetch .*{FILE}"):
        read_checkpoint("torchvision://resnet50")
