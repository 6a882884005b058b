"""mixssl pretrain: chooses by its table, writes a config that builds, trains, goes on, and hands a backbone over."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from support.images import blobs, noise, png, write_every_kind, write_folder, write_shard
from support.tools import ROOT

import mixssl
from mixssl.cli.choices import RULES, choose
from mixssl.cli.own_config import Data, own_config, patch_size
from mixssl.cli.pretrain import pretrain
from mixssl.datasets.look import Look, look_at
from mixssl.datasets.sources import open_source
from mixssl.utils.errors import ConfigError
from mixssl.visualization import build_model

FACTS: dict[str, Any] = {
    "images": 5000,
    "found_channels": 3,
    "channel_words": "5000 images have 3 channels",
    "side": 32,
    "one_size": (32, 32),
    "gpu": False,
    "devices": 1,
    "cores": 2,
    "memory": 8e9,
    "memory_words": "8 GB",
    "most_batch": 128,
    "in_memory": True,
    "held_words": "15 MB",
    "start_backbone": None,
    "start_stem": None,
    "start": 1.0,
    "start_words": "",
}
SMALL = {"epochs": 1, "batch_size": 8, "view_size": 32, "stem": "7x7", "workers": 0, "held_back": 4}


def _chosen(facts: dict[str, Any], **given: Any) -> dict[str, Any]:
    return {choice.option: choice.value for choice in choose(FACTS | facts, given)}


@pytest.mark.parametrize(
    ("facts", "given", "expected"),
    [
        (
            {},
            {},
            {
                "method": "simclr",
                "mixture": "unmix",
                "view_size": 32,
                "stem": "3x3",
                "load_size": 0,
            },
        ),
        ({}, {}, {"batch_size": 128, "lr": 3e-3, "held_back": 500, "backbone": "resnet18"}),
        (
            {"images": 2_000_000, "side": 400, "one_size": None, "gpu": True, "memory": 8e10},
            {},
            {
                "method": "moco",
                "backbone": "resnet50",
                "view_size": 224,
                "queue": 65536,
                "blur": 0.5,
            },
        ),
        ({}, {"method": "moco"}, {"mixture": "none", "queue": 2048, "lr": 0.015}),
        ({"found_channels": 5}, {}, {"channels": 5}),
        (
            {"side": 300, "one_size": None},
            {},
            {"view_size": 64, "stem": "3x3-pool", "load_size": 73},
        ),
        (
            {"start_backbone": "resnet50", "start_stem": "7x7"},
            {},
            {"backbone": "resnet50", "stem": "7x7"},
        ),
        ({}, {"backbone": "vit_tiny"}, {"stem": "patches"}),
        ({"images": 30}, {}, {"batch_size": 4, "held_back": 3}),
    ],
)
def test_what_is_chosen(facts: dict, given: dict, expected: dict) -> None:
    chosen = _chosen(facts, **given)
    assert {name: chosen[name] for name in expected} == expected


def test_every_choice_has_a_reason_and_a_source_and_wrong_ones_are_refused() -> None:
    for choice in choose(FACTS, {}):
        assert choice.why and "{" not in choice.why and choice.source
    assert [choice.option for choice in choose(FACTS, {})] == [rule.option for rule in RULES]
    with pytest.raises(ConfigError, match="method is 'nosuch'; choose one of simclr, byol, moco"):
        choose(FACTS, {"method": "nosuch"})
    with pytest.raises(ConfigError, match="batch_size is 1; it must be at least 2"):
        choose(FACTS, {"batch_size": 1})
    with pytest.raises(ConfigError, match="are too few to train on"):
        choose(FACTS | {"images": 5}, {})


def _look(channels: int = 3) -> Look:
    return Look(
        *(40, (32, 32, 32), (32, 32, 32), (32, 32), {channels: 40}, {"uint8": 40}, {}, channels),
        *(None, [100.0] * channels, [50.0] * channels),
    )


@pytest.mark.parametrize(
    ("channels", "given"),
    [
        (3, {"method": "byol"}),
        (3, {"method": "moco", "mixture": "mixco", "queue": 16}),
        (5, {"mixture": "mixco", "blur": 0.5}),
        (1, {"method": "byol", "backbone": "vit_tiny", "mixture": "mixco"}),
        (3, {"mixture": "none", "precision": "bfloat16"}),
    ],
)
def test_a_step_of_what_was_chosen_works(channels: int, given: dict, tmp_path: Path) -> None:
    sizes = {"view_size": 16, "batch_size": 4} | given
    if given.get("backbone") is None:
        sizes["stem"] = "7x7"
    options = _chosen({"found_channels": channels, "images": 40}, **sizes)
    folder = write_folder(tmp_path, 8)
    cfg = own_config(Data(str(folder), _look(channels), None), options, False, 1)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        model = build_model(cfg)
    images = torch.from_numpy(noise(0, 4, channels, 32, 32))
    data = model.data_preprocessor({"inputs": images}, True)
    MessageHub.get_current_instance().update_info("max_iters", 10)  # as a runner does
    losses = model(**data, mode="loss")
    assert all(loss.isfinite().all() for loss in losses.values())
    assert ("loss_mix" in losses) == (given.get("mixture") != "none")


def test_patches_divide_the_view() -> None:
    assert [patch_size(side) for side in (224, 64, 32, 16, 96)] == [16, 4, 2, 1, 6]


def test_it_trains_names_what_it_leaves_out_goes_on_and_hands_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("timm")
    import timm

    bad = write_every_kind(tmp_path / "images")
    out = tmp_path / "run"
    config = mixssl.pretrain(tmp_path / "images", out=out, dry_run=True, **SMALL)
    said = " ".join(capsys.readouterr().err.split())
    assert "; alpha left out: 2; black and white: 1; CMYK as RGB: 1; palette: 2" in said
    text = config.read_text()
    assert text.startswith("# Written by: mixssl pretrain") and "--workers 0" in text
    assert "#   method = 'simclr': " in text
    assert "#   channels = 3: 3 images have 1 channel, 18 images have 3 channels" in text
    assert not list(out.glob("*.pth"))
    with (out / "unreadable.csv").open() as file:
        assert {record["name"] for record in csv.DictReader(file)} == bad.keys()
    # What was seen is remembered, and nothing is lost by other options as long as nothing is trained.
    given = {**SMALL, "epochs": 2, "dry_run": True}
    other = mixssl.pretrain(tmp_path / "images", out=out, **given).read_text()
    assert (
        "max_epochs=2" in other
        and other.count("unreadable.csv") == text.count("unreadable.csv") > 1
    )
    backbone = mixssl.pretrain(tmp_path / "images", out=out, **SMALL)
    model = timm.create_model(f"local-dir:{backbone}", pretrained=True).eval()
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 512)
    card = (backbone / "README.md").read_text()
    assert "timm: the same features, largest difference" in card and "rankme: " in card
    page = (out / "report.html").read_text()
    assert "Neighbours" in page and "Mixtures" in page and "half.jpg" in page
    assert config.read_text() == text and "best of four methods" in page
    assert list(out.glob("best_rankme_epoch_*.pth"))
    trained = (out / "epoch_1.pth").stat().st_mtime_ns
    assert mixssl.pretrain(tmp_path / "images", out=out, **SMALL) == backbone
    assert (out / "epoch_1.pth").stat().st_mtime_ns == trained
    with pytest.raises(ConfigError, match="holds a run with other options"):
        mixssl.pretrain(tmp_path / "images", out=out, **SMALL, method="byol")
    with pytest.raises(ConfigError, match=r"4 images can't be used, as empty\.png"):
        mixssl.pretrain(tmp_path / "images", out=tmp_path / "strict", strict=True, **SMALL)


def test_options_are_checked(tmp_path: Path) -> None:
    for options, said in (
        ({"nosuch": 1}, "pretrain has no option 'nosuch'"),
        ({"devices": 0}, "--devices is 0"),
        ({"hours": 1.0, "epochs": 2}, "leave one out"),
    ):
        with pytest.raises(ConfigError, match=said):
            pretrain(tmp_path, out=tmp_path / "out", **options)  # type: ignore[arg-type]


def test_hours_become_epochs(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "images", 24)
    options = {**SMALL, "epochs": None, "hours": 0.01, "dry_run": True}
    cfg = Config.fromfile(pretrain(folder, out=tmp_path / "run", **options))
    assert cfg.train_cfg.max_epochs >= 1
    assert cfg.param_scheduler[-1]["end"] == cfg.train_cfg.max_epochs
    assert json.loads((tmp_path / "run/pretrain.json").read_text())["hours"] == 0.01


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shards", "parquet", "five channels", "start"])
def test_every_kind_of_images_becomes_a_backbone(kind: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    count, given = 24, dict(SMALL)
    images = tmp_path / "images"
    if kind == "shards":
        parts = {f"{i:03d}.png": png(blobs(i, 36)) for i in range(count)}
        images = write_shard(
            tmp_path / "a.tar", parts, {name: i % 2 for i, name in enumerate(parts)}
        )
    elif kind == "parquet":
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        images = tmp_path / "images.parquet"
        cells = [{"bytes": png(blobs(i, 36)), "path": None} for i in range(count)]
        pq.write_table(pa.table({"image": cells}), images)
    elif kind == "five channels":
        tifffile = pytest.importorskip("tifffile")
        images.mkdir()
        for i in range(count):
            pixels = noise(i, 36, 40, 5, high=4096)
            tifffile.imwrite(images / f"{i}.tif", pixels, photometric="minisblack")
    else:
        write_folder(images, count)
        first = pretrain(images, out=tmp_path / "first", **given)
        given = {"epochs": 1, "batch_size": 8, "workers": 0, "held_back": 4, "start": str(first)}
    backbone = pretrain(images, out=tmp_path / "run", **given)  # type: ignore[arg-type]
    channels = 5 if kind == "five channels" else 3
    network = timm.create_model(f"local-dir:{backbone}", pretrained=True).eval()
    assert network(torch.zeros(1, channels, 32, 32)).shape == (1, 512)
    assert "timm: the same features" in (backbone / "README.md").read_text()
    noted = json.loads((backbone / "config.json").read_text())
    assert np.isclose(
        noted["pretrained_cfg"]["mean"], np.array(noted["mixssl"]["mean"]) / 255
    ).all()


@pytest.mark.slow
def test_killed_and_started_again_it_goes_on(tmp_path: Path) -> None:
    folder, out = write_folder(tmp_path / "images", 24), tmp_path / "run"
    given = {**SMALL, "epochs": 3}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "mixssl", "pretrain", str(folder), "--out", str(out), *words]
    first = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 300
        while not (out / "epoch_1.pth").is_file() and time.monotonic() < end:
            time.sleep(0.2)
    finally:
        first.kill()
        first.wait()
    assert (out / "epoch_1.pth").is_file() and not (out / "backbone").exists()
    subprocess.run(command, cwd=ROOT, check=True)
    logs = "".join(path.read_text() for path in out.glob("*/*.log"))
    assert "continuing from" in logs
    assert (out / "epoch_3.pth").is_file() and (out / "backbone/README.md").is_file()


@pytest.mark.slow
def test_ten_thousand_small_files_are_looked_at_in_a_minute(tmp_path: Path) -> None:
    images = [png(blobs(i, 32)) for i in range(50)]
    for i in range(10_000):
        place = tmp_path / f"{i % 20}"
        place.mkdir(exist_ok=True)
        (place / f"{i}.png").write_bytes(images[i % 50])
    start = time.monotonic()
    look = look_at(open_source(tmp_path), workers=2)
    assert look.images == 10_000 and time.monotonic() - start < 60


@pytest.mark.slow
def test_two_processes_train_together(tmp_path: Path) -> None:
    folder, out = write_folder(tmp_path / "images", 24, classes=2), tmp_path / "run"
    given = {**SMALL, "batch_size": 4, "devices": 2}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    command = [sys.executable, "-m", "mixssl", "pretrain", str(folder), "--out", str(out), *words]
    subprocess.run(command, cwd=ROOT, check=True)
    assert "SyncBN" in (out / "config.py").read_text()
    assert "the same features" in (out / "backbone/README.md").read_text()
