"""tools/evaluate: each protocol is one command on a small checkpoint, and one line says what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import mmcv
import numpy as np
import pytest
import torch
from mmengine.config import Config
from support.evaluation import write_checkpoint, write_config
from support.tiny import backbone, build, moco
from support.tools import ROOT, call_tool

from mixssl.cli.prepare import prepare_loaders, prepare_model
from mixssl.evaluation import accuracy, extract_features, majority_knn, weighted_knn


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    config = write_config(tmp_path_factory.mktemp("small"))
    return config, write_checkpoint(config)


def features(small: tuple[Path, Path], feature: str = "backbone") -> list:
    cfg = Config.fromfile(small[0])
    model, _ = prepare_model(cfg, str(small[1]), ("backbone", "neck"), "cpu")
    return [extract_features(model, loader, feature) for loader in prepare_loaders(cfg)]


@pytest.mark.parametrize("feature", ["backbone", "projected"])
def test_weighted_knn(small: tuple[Path, Path], tmp_path: Path, feature: str) -> None:
    out = tmp_path / "knn.json"
    options = ["--k", 20, "--feature", feature, "--bank-chunk", 50, "--device", "cpu"]
    assert call_tool("evaluate/knn", *small, *options, "--out", out) == 0
    found = json.loads(out.read_text())
    bank, query = features(small, feature)
    expected = accuracy(weighted_knn(query.features, *bank, 20), query.labels)
    assert found["top1"] == pytest.approx(expected)
    assert (found["bank"], found["queries"], found["k"]) == (120, 60, 20)
    assert found["dimensions"] == {"backbone": 32, "projected": 8}[feature]


def test_plain_5nn(
    small: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "knn.json"
    assert call_tool("evaluate/knn", *small, "--vote", "majority", "--half", "--out", out) == 0
    found = json.loads(out.read_text())
    bank, query = features(small)
    expected = accuracy(majority_knn(query.features.half(), *bank, 5), query.labels)
    assert found["top1"] == pytest.approx(expected, abs=2)  # float16 may turn a near tie
    assert found["protocol"] == "5-NN, Euclidean" and found["temperature"] is None
    said = capfd.readouterr().out
    assert "backbone: all 120 tensors loaded" in said
    assert f"{found['top1']:.2f} % of 60 images" in said


def test_each_checkpoint_and_protocol_has_a_file_beside_it(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config, weights = small
    other = weights.with_name("epoch_2.pth")
    other.write_bytes(weights.read_bytes())
    for checkpoint in (weights, other):
        assert call_tool("evaluate/linear", config, checkpoint, "--epochs", 1) == 0
    assert call_tool("evaluate/knn", config, other, "--data", config, "--k", 20) == 0
    assert call_tool("evaluate/protocols", config, "untrained", "--protocols", "knn5") == 0
    written = {path.name for path in weights.parent.glob("*.json")}
    assert written == {
        "weights_linear.json",
        "epoch_2_linear.json",
        "epoch_2_knn_weighted_0.1_20_backbone_small.json",
    }
    assert [str(path) for path in Path().rglob("*.json")] == ["work_dirs/small/untrained_knn5.json"]
    for path in weights.parent.glob("*.json"):
        path.unlink()


def test_linear_with_a_sweep(small: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "linear.json"
    options = ["--epochs", 20, "--sweep", 1e-6, 0.1]
    assert call_tool("evaluate/linear", *small, *options, "--out", out) == 0
    found = json.loads(out.read_text())
    assert found["top1"] > 40 and found["top5"] >= found["top1"]
    assert set(found["sweep"]) == {"1e-06", "0.1"}
    assert "lr 0.1 to 1e-05" in found["protocol"]


def test_the_images_config_sets_the_linear_probe(
    small: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Digits ask for batches of 26; the command line has the last word; what no probe has is refused."""
    found, out = [], tmp_path / "out.json"
    for tool, options in (
        ("protocols", ["--protocols", "linear"]),
        ("linear", []),
        ("linear", ["--batch-size", 1000]),
    ):
        assert call_tool(f"evaluate/{tool}", *small, *options, "--out", out) == 0
        found.append(json.loads(out.read_text()))
    both, ours, papers = found
    assert both["linear_probe"] == {"batch_size": 26} and ours["batch_size"] == 26
    assert both["top1"]["linear"] == pytest.approx(ours["top1"])
    assert papers["batch_size"] == 1000 and "batches of 1000" in papers["protocol"]
    capfd.readouterr()
    assert call_tool("evaluate/linear", *small, "--cfg-options", "linear_probe.steps=50") == 2
    assert "linear_probe.steps is 50" in one_line(capfd, "linear.py")


def test_logistic_regression_of_an_untrained_model(
    small: tuple[Path, Path], tmp_path: Path
) -> None:
    out = tmp_path / "logistic.json"
    arguments = [small[0], "untrained", "--logistic", "--out", out]
    assert call_tool("evaluate/linear", *arguments) == 0
    assert json.loads(out.read_text())["top1"] > 40


def test_other_images_than_the_configs(small: tuple[Path, Path], tmp_path: Path) -> None:
    data, out = tmp_path / "data.py", tmp_path / "knn.json"
    base = str(ROOT / "configs/_base_/datasets/digits.py")
    parts = "knn_bank = dict(dataset=dict(indices=40))\nknn_query = dict(dataset=dict(indices=10))"
    data.write_text(f"_base_ = [{base!r}]\n{parts}\n")
    assert call_tool("evaluate/knn", *small, "--k", 5, "--data", data, "--out", out) == 0
    found = json.loads(out.read_text())
    assert (found["bank"], found["queries"], found["data"]) == (40, 10, str(data))


def one_line(capfd: pytest.CaptureFixture[str], tool: str) -> str:
    """The only line of an error."""
    lines = [line for line in capfd.readouterr().err.splitlines() if "INFO" not in line]
    (line,) = [line for line in lines if line.startswith(tool)]
    assert not [line for line in lines if "Traceback" in line]
    return line


class TestBadInput:
    def test_more_neighbours_than_images(
        self, small: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert call_tool("evaluate/knn", *small, "--k", 121) == 2
        assert "k is 121 and the bank has 120 images" in one_line(capfd, "knn.py")

    def test_a_checkpoint_of_another_backbone(
        self, small: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        torch.save(build(moco(backbone=backbone(depth=34))).state_dict(), tmp_path / "other.pth")
        assert call_tool("evaluate/linear", small[0], tmp_path / "other.pth") == 2
        assert "does not hold the config's backbone" in one_line(capfd, "linear.py")

    def test_no_checkpoint(
        self, small: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert call_tool("evaluate/knn", small[0], "nowhere.pth") == 2
        assert "there is no checkpoint 'nowhere.pth'" in one_line(capfd, "knn.py")

    def test_an_empty_folder(
        self, small: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        data = ["--data", ROOT / "configs/_base_/datasets/cifar10.py", "--data-root", tmp_path]
        assert call_tool("evaluate/knn", *small, *data) == 2
        line = one_line(capfd, "knn.py")
        assert str(tmp_path) in line and "train/<class>/<image>" in line

    def test_a_config_without_images_to_judge_with(
        self, small: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        config = ROOT / "configs/unmix/mocov2_r50_in1k.py"
        assert call_tool("evaluate/linear", config, small[1]) == 2
        assert "has no knn_bank and no knn_query" in one_line(capfd, "linear.py")

    @pytest.mark.parametrize(
        ("folders", "said"),
        [((), "knn_bank.dataset (ImageNet) reads the folder"), (("train", "val"), "knn_bank: ")],
    )
    def test_folders_without_images(
        self,
        small: tuple[Path, Path],
        tmp_path: Path,
        capfd: pytest.CaptureFixture[str],
        folders: tuple[str, ...],
        said: str,
    ) -> None:
        for folder in folders:
            (tmp_path / folder).mkdir()
        data = ["--data", ROOT / "configs/_base_/datasets/imagenet.py", "--data-root", tmp_path]
        assert call_tool("evaluate/knn", *small, *data) == 2
        assert said in one_line(capfd, "knn.py")

    def test_a_config_of_data_alone(
        self, small: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        config = ROOT / "configs/_base_/datasets/digits.py"
        assert call_tool("evaluate/knn", config, small[1]) == 2
        assert "has no model" in one_line(capfd, "knn.py")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device here")
    def test_a_device_that_is_not_there(
        self, small: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert call_tool("evaluate/knn", *small, "--device", "cuda") == 2
        assert "--device cuda: " in one_line(capfd, "knn.py")

    def test_labels_missing(
        self, small: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        for number in range(6):
            mmcv.imwrite(
                np.full((16, 16, 3), 40 * number, np.uint8), str(tmp_path / f"{number}.png")
            )
        config = tmp_path / "unlabelled.py"
        pipeline = "[dict(type='LoadImageFromFile'), dict(type='PackInputs')]"
        config.write_text(
            f"_base_ = [{str(small[0])!r}]\n"
            "knn_bank = dict(dataset=dict(_delete_=True, type='CustomDataset', with_label=False, "
            f"data_root={str(tmp_path)!r}, pipeline={pipeline}))\n"
        )
        assert call_tool("evaluate/knn", config, small[1], "--k", 5) == 2
        assert "no labels" in one_line(capfd, "knn.py")

    def test_nothing_to_sweep(
        self, small: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert call_tool("evaluate/linear", *small, "--logistic", "--sweep", 0.1) == 2
        assert "leave one of the two out" in one_line(capfd, "linear.py")
