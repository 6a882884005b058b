"""Weights arrive whole, or one line says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support import tiny

from mixssl.evaluation import load_parts
from mixssl.utils.errors import ConfigError


def saved(path: Path, **changes: object) -> tuple[str, dict[str, torch.Tensor]]:
    """A checkpoint of a model with other weights than the test's, and its state."""
    state = tiny.build(tiny.moco(**changes), seed=1).state_dict()
    torch.save({"state_dict": state, "meta": {}}, path / "model.pth")
    return str(path / "model.pth"), state


def test_parts_are_loaded_and_the_rest_stays(tmp_path: Path) -> None:
    path, state = saved(tmp_path)
    model = tiny.build(tiny.moco(), seed=0)
    queue, neck = model.queue.clone(), {k: v.clone() for k, v in model.neck.state_dict().items()}
    (line,) = load_parts(model, path)
    found = model.backbone.state_dict()
    assert line.startswith(f"backbone: all {len(found)} tensors")
    assert all(value.equal(state[f"backbone.{name}"]) for name, value in found.items())
    assert model.queue.equal(queue)
    assert all(value.equal(neck[name]) for name, value in model.neck.state_dict().items())
    assert len(load_parts(model, path, ("backbone", "neck"))) == 2
    assert all(v.equal(state[f"neck.{k}"]) for k, v in model.neck.state_dict().items())


def test_a_bare_backbone_will_do(tmp_path: Path) -> None:
    source = tiny.build(tiny.moco(), seed=1).backbone
    torch.save({**source.state_dict(), "fc.weight": torch.zeros(3)}, tmp_path / "bare.pth")
    model = tiny.build(tiny.moco(), seed=0)
    load_parts(model, str(tmp_path / "bare.pth"))
    assert model.backbone.conv1.weight.equal(source.conv1.weight)


@pytest.mark.parametrize("depth", [34, 50])
def test_another_backbone_is_refused_and_nothing_is_loaded(tmp_path: Path, depth: int) -> None:
    neck = tiny.moco()["neck"] | {"in_channels": 32 if depth == 34 else 128}
    path, _ = saved(tmp_path, backbone=tiny.backbone(depth=depth), neck=neck)
    model = tiny.build(tiny.moco(), seed=0)
    before = model.backbone.conv1.weight.clone()
    with pytest.raises(ConfigError, match="unexpected") as error:
        load_parts(model, path)
    assert "\n" not in str(error.value) and "ResNet_CIFAR" in str(error.value)
    assert model.backbone.conv1.weight.equal(before)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "there is no checkpoint"),
        (b"", "is no checkpoint"),
        (b"not weights", "is no checkpoint"),
    ],
)
def test_files_that_are_no_checkpoint(tmp_path: Path, content: bytes | None, named: str) -> None:
    path = tmp_path / "x.pth"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=named) as error:
        load_parts(tiny.build(tiny.moco()), str(path))
    assert "\n" not in str(error.value)


def test_a_part_that_the_model_lacks(tmp_path: Path) -> None:
    path, _ = saved(tmp_path)
    model = tiny.build(tiny.moco())
    model.neck = None
    with pytest.raises(ConfigError, match="MixMoCo has no neck"):
        load_parts(model, path, ("neck",))
