"""tools/test.py: a test loop runs on a checkpoint; without one there is a line that says what to do."""

import json
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import HOOKS, DefaultScope
from mmengine.visualization import Visualizer
from support.tiny import backbone, build
from support.tools import NAME, ROOT, call_tool, write_tiny

import mixssl.registry  # noqa: F401
from mixssl.cli.testing import drawing
from mixssl.utils.detection import missing_for_detection

CONFIG = """
_base_ = [{base!r}]
model = {model!r}
test_dataloader = dict(
    batch_size=10,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mixssl.Digits', split='test', indices=20,
        pipeline=[dict(type='NumpyToPIL'), dict(type='PILToNumpy'), dict(type='PackInputs')]))
test_evaluator = dict(type='Accuracy', topk=(1,))
test_cfg = dict()
{name}
"""


@pytest.fixture
def classifier(tmp_path):
    """Config and weights of a small, untrained classifier of digits."""
    model = {
        "type": "mmpretrain.ImageClassifier",
        "backbone": backbone(),
        "neck": {"type": "mmpretrain.GlobalAveragePooling"},
        "head": {"type": "mmpretrain.LinearClsHead", "num_classes": 10, "in_channels": 32},
    }
    base = ROOT / "configs" / "_base_" / "default_runtime.py"
    config = tmp_path / "classifier.py"
    config.write_text(CONFIG.format(base=str(base), model=model, name=NAME))
    weights = tmp_path / "weights.pth"
    torch.save({"state_dict": build(model).state_dict()}, weights)
    return config, weights


def test_metrics_and_predictions_are_written(classifier, tmp_path):
    config, weights = classifier
    work = ["--work-dir", tmp_path / "run"]
    out = tmp_path / "metrics.json"
    assert call_tool("test", config, weights, *work, "--out", out, "--out-item", "metrics") == 0
    top1 = json.loads(out.read_text())["accuracy/top1"]
    assert 0 <= top1 <= 100 and top1 % 5 == pytest.approx(0)
    out = tmp_path / "predictions.pkl"
    assert call_tool("test", config, weights, *work, "--tta", "--out", out) == 0
    assert out.stat().st_size > 0
    assert (
        Config.fromfile(tmp_path / "run" / "classifier.py").model.type
        == "mmpretrain.AverageClsScoreTTA"
    )


def test_pre_training_has_no_test_loop(tmp_path, capfd):
    assert call_tool("test", write_tiny(tmp_path), "w.pth") == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("test.py: ")]
    assert len(lines) == 1
    assert "has no test loop" in lines[0] and "k-NN or a linear probe" in lines[0]


def test_a_missing_checkpoint_and_a_missing_out(classifier, tmp_path, capfd):
    config, weights = classifier
    assert call_tool("test", config, tmp_path / "none.pth") == 2
    assert "none.pth" in capfd.readouterr().err
    assert call_tool("test", config, weights, "--out-item", "pred") == 2
    assert "there is no --out" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("scope", "kind", "folder"),
    [
        ("mmdet", "DetVisualizationHook", "test_out_dir"),
        ("mmpretrain", "VisualizationHook", "out_dir"),
    ],
)
def test_pictures_are_drawn_by_the_hook_of_the_configs_own_library(
    scope, kind, folder, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # mmdet's hook would put a relative folder below the work directory
    args = Namespace(show=False, show_dir="shown", wait_time=2, interval=1)
    hook = drawing(Config({"default_scope": scope}), args)
    assert hook["type"] == kind and Path(hook[folder]).absolute() == tmp_path / "shown"
    assert Path(hook[folder]).is_absolute() == (scope == "mmdet")
    with DefaultScope.overwrite_default_scope(scope):
        if scope == "mmpretrain" or missing_for_detection() is None:
            Visualizer.get_instance(f"pictures_of_{scope}")
            assert HOOKS.build(hook) is not None
