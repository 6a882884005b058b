"""tools/analysis: each makes its picture and its numbers from small checkpoints, and says in a line what is wrong."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from PIL import Image
from support.evaluation import write_checkpoint, write_config
from support.tools import call_tool, write_tiny

from mixssl.cli.prepare import prepare_loaders, prepare_model
from mixssl.evaluation import cluster_indices, extract_features


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A config and two checkpoints."""
    config = write_config(tmp_path_factory.mktemp("models"))
    return config, write_checkpoint(config, "one.pth", 0), write_checkpoint(config, "two.pth", 1)


def made(picture: Path) -> Any:
    """The numbers beside a picture that is one: of the common width, and not of one colour."""
    with Image.open(picture) as image:
        assert image.width == 1200
        assert len(set(image.convert("L").resize((60, 60)).getdata())) > 20
    return json.loads(picture.with_suffix(".json").read_text())


@pytest.mark.parametrize("feature", ["backbone", "projected"])
def test_tsne(models: tuple[Path, Path, Path], tmp_path: Path, feature: str) -> None:
    picture = tmp_path / "tsne.png"
    options = ["--feature", feature, "--num", 50, "--device", "cpu"]
    assert call_tool("analysis/tsne", *models, *options, "--picture", picture) == 0
    found = made(picture)
    assert list(found["models"]) == ["one", "two"] and found["images"] == 50
    cfg = Config.fromfile(models[0])
    model, _ = prepare_model(cfg, str(models[2]), ("backbone", "neck"), "cpu")
    features, labels = extract_features(model, prepare_loaders(cfg)[1], feature)
    assert labels is not None
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))[:50]
    rows = torch.nn.functional.normalize(features)[order]
    expected = cluster_indices(rows, labels[order])._asdict()
    assert found["models"]["two"]["features"] == pytest.approx(expected, rel=1e-4)


def test_tsne_of_training_images_of_classes_at_random(
    models: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """As MixCo's Figure 3 has it."""
    found = []
    for seed in (0, 1):
        picture = tmp_path / f"{seed}.png"
        options = ["--images", "train", "--random-classes", 3, "--num", 1000, "--seed", seed]
        assert call_tool("analysis/tsne", *models, *options, "--picture", picture) == 0
        found.append(made(picture))
    assert all(len(row["classes"]) == 3 and row["of"] == "knn_bank" for row in found)
    assert found[0]["classes"] != found[1]["classes"]
    cfg = Config.fromfile(models[0])
    bank = prepare_loaders(cfg)[0]
    model, _ = prepare_model(cfg, str(models[1]), ("backbone",), "cpu")
    features, labels = extract_features(model, bank)
    assert labels is not None
    kept = torch.isin(labels, torch.tensor(found[0]["classes"]))
    rows = torch.nn.functional.normalize(features[kept])
    assert found[0]["images"] == len(rows) < len(labels)
    expected = cluster_indices(rows, labels[kept])._asdict()
    assert found[0]["models"]["one"]["features"] == pytest.approx(expected, rel=1e-4)


def test_weights(models: tuple[Path, Path, Path], tmp_path: Path) -> None:
    picture = tmp_path / "weights.png"
    arguments = [*models[1:], "--names", "a", "b", "--layers", 1, 20, "--picture", picture]
    assert call_tool("analysis/weights", *arguments) == 0
    found = made(picture)
    assert len(found) == 20 and set(found["conv1"]) == {"a", "b"}
    state = torch.load(models[1])["state_dict"]["backbone.conv1.weight"]
    assert found["conv1"]["a"]["std"] == pytest.approx(state.std(unbiased=False).item(), rel=1e-5)


def test_attention(models: tuple[Path, Path, Path], tmp_path: Path) -> None:
    picture = tmp_path / "attention.png"
    assert call_tool("analysis/attention", *models, "--num", 3, "--picture", picture) == 0
    found = made(picture)
    assert found["images"] == [0, 29, 59]
    assert len(found["models"]["one"]["spread"]) == 3
    same = tmp_path / "same.png"
    arguments = [models[0], models[1], models[1], "--names", "a", "b", "--images", 5]
    assert call_tool("analysis/attention", *arguments, "--picture", same) == 0
    assert made(same)["correlation with the first"]["b"] == [pytest.approx(1.0)]


def test_alignment(models: tuple[Path, Path, Path], tmp_path: Path) -> None:
    picture, again = tmp_path / "alignment.png", tmp_path / "again.json"
    options = ["--num", 40, "--picture", picture]
    assert call_tool("analysis/alignment", *models, *options) == 0
    found = made(picture)
    assert found["images"] == 40 and list(found["models"]) == ["one", "two"]
    assert all(row["alignment"] > 0 > row["uniformity"] for row in found["models"].values())
    # The same views whatever else is compared.
    arguments = [models[0], models[2], *options, "--out", again]
    assert call_tool("analysis/alignment", *arguments) == 0
    assert json.loads(again.read_text())["models"]["two"] == pytest.approx(found["models"]["two"])


def test_curves(tmp_path: Path) -> None:
    config = write_tiny(tmp_path, epochs=2)
    for name in ("a", "b"):
        assert call_tool("train", config, "--work-dir", tmp_path / name) == 0
    picture = tmp_path / "curves.png"
    assert call_tool("analysis/curves", tmp_path / "a", tmp_path / "b", "--picture", picture) == 0
    found = made(picture)
    assert list(found) == ["a", "b"]
    assert {"lr", "loss", "loss_clean", "loss_mix"} <= set(found["a"])
    assert found["a"]["loss"]["last at"] == 20 and found["a"]["loss"] == found["b"]["loss"]


class TestBadInput:
    @pytest.mark.parametrize(
        ("tool", "options", "said"),
        [
            ("tsne", ["--names", "one"], "2 files have the names one"),
            ("tsne", ["--classes", "11"], "no image has that label"),
            ("tsne", ["--classes", "3"], "1 classes among"),
            ("tsne", ["--random-classes", "11"], "--random-classes is 11 and must lie in [1, 10]"),
            ("attention", ["--images", "60"], "the data set has 60 images"),
            ("attention", ["--num", "0"], "--num is 0"),
            ("alignment", ["--num", "1"], "--num is 1"),
        ],
    )
    def test_options(
        self,
        models: tuple[Path, Path, Path],
        capfd: pytest.CaptureFixture[str],
        tool: str,
        options: list[str],
        said: str,
    ) -> None:
        assert call_tool(f"analysis/{tool}", *models, *options) == 2
        assert said in self.line(capfd, tool)

    def test_umap_without_its_package(
        self, models: tuple[Path, Path, Path], capfd: pytest.CaptureFixture[str]
    ) -> None:
        if importlib.util.find_spec("umap") is not None:
            pytest.skip("umap-learn is installed")
        assert call_tool("analysis/tsne", *models, "--method", "UMAP") == 2
        assert "pip install umap-learn" in self.line(capfd, "tsne")

    def test_models_that_differ(
        self, models: tuple[Path, Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        torch.save({"conv1.weight": torch.ones(2, 3, 3, 3)}, tmp_path / "small.pth")
        assert call_tool("analysis/weights", models[1], tmp_path / "small.pth") == 2
        assert "compare models of one backbone" in self.line(capfd, "weights")

    def test_a_folder_without_a_log(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        assert call_tool("analysis/curves", tmp_path) == 2
        assert "name the work directory of a run" in self.line(capfd, "curves")

    @staticmethod
    def line(capfd: pytest.CaptureFixture[str], tool: str) -> str:
        lines = capfd.readouterr().err.splitlines()
        (line,) = [line for line in lines if line.startswith(f"{tool}.py: ")]
        return line
