"""Hooks of a config, by name and in a list."""

from __future__ import annotations

from mmengine.config import Config

from mixssl.engine.hooks import ProgressHook
from mixssl.utils.config_hooks import drop_hooks, hook_type, hooks_of

KNN, ODC = {"type": "mixssl.KNNMonitorHook", "k": 5}, {"type": "ODCHook"}


def test_hooks_are_found_in_both_places() -> None:
    cfg = {"default_hooks": {"timer": None, "knn": KNN}, "custom_hooks": [ODC]}
    assert dict(hooks_of(cfg)) == {"default_hooks.knn": KNN, "custom_hooks.0": ODC}
    assert list(hooks_of({"default_hooks": None})) == []


def test_hooks_are_dropped_from_both_places() -> None:
    cfg = Config({"default_hooks": {"timer": None, "knn": KNN, "odc": ODC}, "custom_hooks": [ODC]})
    drop_hooks(cfg, lambda hook: hook_type(hook) == "ODCHook")
    assert cfg.to_dict() == {"default_hooks": {"timer": None, "knn": KNN}, "custom_hooks": []}
    bare = Config({"model": {}})
    drop_hooks(bare, lambda hook: True)
    assert bare.to_dict() == {"model": {}}


def test_the_type_of_a_hook_has_no_scope() -> None:
    found = [hook_type(hook) for hook in (KNN, ODC, {"type": ProgressHook}, ProgressHook(), {})]
    assert found == ["KNNMonitorHook", "ODCHook", "ProgressHook", "ProgressHook", ""]
