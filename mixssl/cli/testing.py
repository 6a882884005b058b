"""What tools/test.py does: reads, checks, builds, tests."""

import argparse
import os
from copy import deepcopy
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.evaluator import DumpResults

from mixssl.cli.launch import (
    load_config,
    prepare_devices,
    set_data_root,
)
from mixssl.cli.processes import launched_processes
from mixssl.cli.run_defaults import fill_loaders
from mixssl.cli.runners import build_runner
from mixssl.utils.cfg_options import merge_options
from mixssl.utils.config_checks import check_config, forbid_silent_download
from mixssl.utils.errors import ConfigError

OF_TESTING = (
    *("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint"),
    "visualization",
)
"""Hooks of a test, by their names in ``default_hooks``; monitors and the like belong to training."""


def test(args: argparse.Namespace) -> None:
    """Tests by the arguments of tools/test.py."""
    cfg = load_config(args)
    check_testable(cfg, args)
    cfg = merge_args(cfg, args)
    # Only the test loop runs: nothing of training is built, or asked for.
    for stage in ("train", "val"):
        for part in ("dataloader", "cfg", "evaluator"):
            cfg.pop(f"{stage}_{part}", None)
    for key in ("optim_wrapper", "param_scheduler", "custom_hooks"):
        cfg.pop(key, None)
    hooks = cfg.get("default_hooks") or {}
    cfg.default_hooks = {k: hook for k, hook in hooks.items() if k in OF_TESTING or hook is None}
    forbid_silent_download(cfg)
    check_config(cfg, launched_processes(cfg.launcher))
    runner = build_runner(cfg, prepare_devices(cfg))
    if args.out and args.out_item != "metrics":
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if args.out and args.out_item == "metrics":
        mmengine.dump(metrics, args.out)


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Writes the command line into the config; --cfg-options have the last word."""
    cfg.load_from, cfg.resume = args.checkpoint, False
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    if args.show or args.show_dir is not None:
        cfg.setdefault("default_hooks", {})["visualization"] = drawing(cfg, args)
    if args.tta:
        use_flips(cfg)
    merge_options(cfg, args.cfg_options)
    fill_loaders(cfg, not args.no_pin_memory, persistent_workers=None)
    return cfg


def drawing(cfg: Config, args: argparse.Namespace) -> dict[str, Any]:
    """The hook that draws predictions: mmdet's for detectors, mmpretrain's for everything else."""
    common = {"show": args.show, "wait_time": args.wait_time, "interval": args.interval}
    if cfg.get("default_scope") == "mmdet":
        folder = args.show_dir and os.path.abspath(args.show_dir)  # else it goes below work_dir
        return {"type": "DetVisualizationHook", "draw": True, "test_out_dir": folder, **common}
    return {"type": "VisualizationHook", "enable": True, "out_dir": args.show_dir, **common}


def use_flips(cfg: Config) -> None:
    """Tests each image as it is and flipped, unless the config has its own test-time augmentation."""
    cfg.setdefault("tta_model", {"type": "mmpretrain.AverageClsScoreTTA"})
    if "tta_pipeline" not in cfg:
        *steps, pack = deepcopy(cfg.test_dataloader.dataset.pipeline)
        flips = [{"type": "RandomFlip", "prob": probability} for probability in (1.0, 0.0)]
        cfg.tta_pipeline = [*steps, {"type": "TestTimeAug", "transforms": [flips, [pack]]}]
    cfg.model = {**cfg.tta_model, "module": cfg.model}
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline


def check_testable(cfg: Config, args: argparse.Namespace) -> None:
    """Raises a ConfigError where there is nothing to test, or nothing to test it with."""
    if args.out_item is not None and args.out is None:
        raise ConfigError(
            f"--out-item is {args.out_item!r} and there is no --out: name the file with --out FILE"
        )
    missing = [
        key for key in ("test_dataloader", "test_evaluator", "test_cfg") if cfg.get(key) is None
    ]
    if missing:
        raise ConfigError(
            f"{args.config} has no test loop ({', '.join(missing)} not set): features of a pre-trained model are "
            "judged by k-NN or a linear probe, with the tools in tools/evaluate/ and the configs in "
            "configs/benchmarks/"
        )
    if "://" not in args.checkpoint and not os.path.isfile(args.checkpoint):
        raise ConfigError(f"there is no checkpoint {args.checkpoint!r}: name an existing file")
