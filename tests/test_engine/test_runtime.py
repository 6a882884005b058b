"""configs/_base_/runtime.py and default_runtime.py: what every run has."""

from importlib.resources import files

import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import VISUALIZERS as ROOT_VISUALIZERS
from mmengine.registry import DefaultScope
from support.tools import ROOT
from support.toy_run import toy_runner

from mixssl.cli.run_defaults import DEFAULT_HOOKS

BASE = ROOT / "configs" / "_base_"


def test_runtime_sets_the_hooks_alone():
    cfg = Config.fromfile(BASE / "runtime.py")
    assert list(cfg) == ["runtime_hooks", "custom_hooks"]
    assert cfg.custom_hooks == list(cfg.runtime_hooks.values())
    built = {name: ROOT_HOOKS.build(hook) for name, hook in cfg.runtime_hooks.items()}
    assert {"runtime_info": "mixssl.IntervalRuntimeInfoHook"} | {
        name: f"mixssl.{type(hook).__name__}" for name, hook in built.items()
    } == DEFAULT_HOOKS


def test_runtime_goes_together_with_mmpretrains(tmp_path):
    path = tmp_path / "both.py"
    path.write_text(
        f"_base_ = ['mmpretrain::_base_/default_runtime.py', {str(BASE / 'runtime.py')!r}]\n"
    )
    cfg = Config.fromfile(path)
    assert cfg.default_scope == "mmpretrain" and len(cfg.custom_hooks) == 6


def test_the_whole_runtime_has_what_mmpretrains_has():
    ours = Config.fromfile(BASE / "default_runtime.py")
    theirs = Config.fromfile(
        files("mmpretrain") / ".mim" / "configs" / "_base_" / "default_runtime.py"
    )
    assert set(theirs) <= set(ours) and "custom_hooks" not in ours
    assert ours.default_scope == theirs.default_scope
    hooks = Config.fromfile(BASE / "runtime_hooks.py").runtime_hooks
    assert set(theirs.default_hooks) | set(hooks) == set(ours.default_hooks)
    assert {name: ours.default_hooks[name] for name in hooks} == hooks


def test_hooks_run_in_the_order_that_keeps_checkpoints_good(tmp_path):
    """Losses are read before a checkpoint is written; a stop comes after schedules have stepped."""
    cfg = Config.fromfile(BASE / "runtime.py")
    runner = toy_runner(tmp_path, list(cfg.custom_hooks))
    order = [type(hook).__name__ for hook in runner.hooks]
    assert order[0] == "RunCheckHook"
    assert order.index("StopOnNonFiniteLossHook") < order.index("CheckpointHook")
    assert order.index("ExactResumeHook") < order.index("CheckpointHook")
    assert order.index("ParamSchedulerHook") < order.index("GracefulStopHook")
    assert order[-1] == "GracefulStopHook"


def test_tensorboard_can_be_named(tmp_path):
    pytest.importorskip("torch.utils.tensorboard")
    cfg = Config.fromfile(BASE / "default_runtime.py")
    cfg.visualizer.vis_backends = [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}]
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        visualizer = ROOT_VISUALIZERS.build(
            {**cfg.visualizer, "save_dir": str(tmp_path), "name": tmp_path.name}
        )
    visualizer.add_scalar("loss", 0.5, step=1)
    visualizer.close()
    assert list(tmp_path.rglob("events.out.tfevents*"))
