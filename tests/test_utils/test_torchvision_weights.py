"""torchvision's weights by their name: found in torch's cache, fetched if need be, refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mixssl.utils.checkpoints import read_checkpoint
from mixssl.utils.errors import ConfigError

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
