"""mixssl embed writes features with names, goes on where it was stopped, and neighbours are the nearest."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from support.images import blobs, write_folder

from mixssl.cli import embed as tool
from mixssl.cli.hand_over import write_backbone
from mixssl.transfer.backbone_folder import Backbone, build_backbone
from mixssl.utils.errors import ConfigError

COUNT = 10


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = {"type": "ResNet", "depth": 18, "norm_cfg": {"type": "BN"}, "in_channels": 3}
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        state = MODELS.build(config).state_dict()
    folder = tmp_path_factory.mktemp("backbone")
    mean, std = [90.0, 100.0, 110.0], [50.0, 60.0, 70.0]
    write_backbone(Backbone(state, config, mean, std, 24, 24, None, {}), folder)
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = write_folder(tmp_path / "images", COUNT, size=24)
    (folder / "00003.png").write_bytes(b"no image")
    return folder


def _asked(backbone: Path, images: Path, out: Path, **more: Any) -> argparse.Namespace:
    settings = {"device": "cpu", "batch_size": 4, "workers": 0, **more}
    return argparse.Namespace(backbone=backbone, images=str(images), out=out, **settings)


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_features_are_those_of_the_images_by_name(
    backbone: Path, images: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"features.{ending}"
    if ending == "parquet":
        pq = pytest.importorskip("pyarrow.parquet")
    tool.embed(_asked(backbone, images, out))
    if ending == "parquet":
        table = pq.read_table(out).to_pydict()
        names, features = table["name"], np.array(table["feature"], dtype=np.float32)
    else:
        file = np.load(out)
        names, features = file["names"].tolist(), file["features"]
    assert names == [f"{i:05d}.png" for i in range(COUNT) if i != 3]
    record = tool.read_backbone(backbone)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (record.mean, record.std))
    image = (torch.from_numpy(blobs(5, 24)).permute(2, 0, 1).float() - mean) / std
    with torch.no_grad():
        expected = build_backbone(record)(image[None])[-1].mean((2, 3))[0]
    assert np.allclose(features[4], expected.numpy(), atol=1e-5)
    with (tmp_path / "features_unreadable.csv").open() as table:
        assert [row["name"] for row in csv.DictReader(table)] == ["00003.png"]


def test_it_goes_on_where_it_was_stopped(
    backbone: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "PART", 4)
    out, done = tmp_path / "features.npz", []
    whole = tool._packed

    def packed(network: Any, record: Any, shown: Any, rows: range, args: Any) -> bytes:
        done.append(rows.start)
        if done == [0, 4]:
            raise KeyboardInterrupt
        return whole(network, record, shown, rows, args)

    monkeypatch.setattr(tool, "_packed", packed)
    with pytest.raises(KeyboardInterrupt):
        tool.embed(_asked(backbone, images, out))
    assert not out.exists()
    tool.embed(_asked(backbone, images, out))
    assert done == [0, 4, 4, 8]
    assert len(np.load(out)["names"]) == COUNT - 1
    assert {path.name for path in tmp_path.iterdir()} == {
        *("features.npz", "features_unreadable.csv", "images")
    }


def test_neighbours_are_drawn(backbone: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "neighbours.png"
    asked = _asked(backbone, images, out, num=3, k=2, most=100, seed=0)
    tool.neighbours(asked)
    assert out.stat().st_size > 1000
    with pytest.raises(ConfigError, match="k is 20, and 9 images were looked at"):
        tool.neighbours(_asked(backbone, images, out, num=3, k=20, most=100, seed=0))


def test_what_is_no_backbone_is_refused(images: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no backbone of mixssl"):
        tool.embed(_asked(tmp_path, images, tmp_path / "x.npz"))
    with pytest.raises(ConfigError, match=r"give a file that ends in .npz or .parquet"):
        tool.embed(_asked(tmp_path, images, tmp_path / "x.csv"))
