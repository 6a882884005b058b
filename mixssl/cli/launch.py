"""From arguments to a config that can run here: its file, its loaders, its data, its devices."""

import argparse
import os
import traceback
from pathlib import Path

import torch
from mmengine.config import Config

from mixssl.cli.processes import check_launch, join_on_cpus
from mixssl.utils.config_checks import LOADERS, dataset_dicts
from mixssl.utils.detection import require_detection
from mixssl.utils.errors import ConfigError
from mixssl.utils.malloc import keep_freed_memory

DETECTION = "mmdet"
"""Default scope of configs that need it."""


def load_config(args: argparse.Namespace) -> Config:
    """Reads ``args.config`` and sets work_dir and launcher; loaders get their defaults after the tool's own keys.

    Raises:
        ConfigError: As :func:`open_config`.
    """
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = open_config(args.config)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = os.path.join("work_dirs", Path(args.config).stem)
    return cfg


def open_config(path: str) -> Config:
    """Reads a config; one of mmdet's only where detection can run, before anything else fails because it can't.

    Raises:
        ConfigError: If there is no such file, or it is no config.
    """
    if not os.path.isfile(path):
        raise ConfigError(
            f"there is no config file {path!r}: see the folder configs/ for what there is"
        )
    try:
        cfg = Config.fromfile(path)
    except ConfigError:
        raise
    except Exception as error:  # a config is Python: it may raise anything
        if isinstance(error, ModuleNotFoundError) and DETECTION in str(error):
            require_detection()  # whose configs it inherits
        raise ConfigError(f"{path} can't be read: {_fault_of(error)}") from error
    if cfg.get("default_scope") == DETECTION:
        require_detection()
    return cfg


def _fault_of(error: Exception) -> str:
    """What is wrong with a config, and in which line where Python says so."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.name == "<module>"]  # a config's, not a function's
    said = str(error.args[0] if isinstance(error, KeyError) else error).strip()
    if isinstance(error, SyntaxError):
        return f"{error.msg} in line {error.lineno}"
    if isinstance(error, ImportError):
        said += "; what a config imports must be found by Python: add its folder to PYTHONPATH"
    if not own:
        return said
    return f"{type(error).__name__} in line {own[-1].lineno} of {own[-1].filename}: {said}"


def set_data_root(cfg: Config, data_root: str) -> None:
    """Replaces ``data_root`` in every data set that has one, and in the annotations that evaluators read below it.

    Raises:
        ConfigError: If none has.
    """
    changed = 0
    for _, dataset in dataset_dicts(cfg):
        if "data_root" in dataset:
            _move_annotations(cfg, str(dataset["data_root"]), data_root)
            dataset["data_root"] = data_root
            changed += 1
    if not changed:
        raise ConfigError(
            f"--data-root is {data_root!r}, and no data set of the config has a data_root to replace: leave it out"
        )


def _move_annotations(cfg: Config, old: str, new: str) -> None:
    """Moves ``ann_file`` of evaluators that lies below a data root with it: mmdet's hold the whole path."""
    for key in ("val_evaluator", "test_evaluator"):
        metrics = cfg.get(key) or []
        for metric in metrics if isinstance(metrics, list) else [metrics]:
            file = Path(metric.get("ann_file") or "")
            if old and file.is_relative_to(old):
                metric["ann_file"] = str(Path(new) / file.relative_to(old))


def prepare_devices(cfg: Config) -> list[str]:
    """Fits config and process to a machine without CUDA: gloo between processes, no pinned memory, freed memory kept.

    mmengine's launchers bind each process to a GPU first, so the process group is made here instead.

    Returns:
        What was changed, one line each, for the log.

    Raises:
        ConfigError: The launcher is not what started the process; or there is no GPU, and the run asks for mixed
            precision or comes from MPI.
    """
    check_launch(cfg.launcher)
    if torch.cuda.is_available():
        return []
    keep_freed_memory()
    if cfg.get("optim_wrapper") and cfg.optim_wrapper.get("type") == "AmpOptimWrapper":
        raise ConfigError(
            "mixed precision in float16 (--amp, or AmpOptimWrapper in the config) needs a GPU, and there is none "
            "here: take --amp bfloat16"
        )
    for name in LOADERS:
        if cfg.get(name) is not None:
            cfg[name]["pin_memory"] = False
    if cfg.launcher == "none":
        return []
    backend = cfg.setdefault("env_cfg", {}).setdefault("dist_cfg", {}).get("backend", "nccl")
    cfg.env_cfg.dist_cfg["backend"] = "gloo"
    join_on_cpus(cfg.launcher)
    wrapper = cfg.get("model_wrapper_cfg") or {
        "type": "MMDistributedDataParallel",
        "broadcast_buffers": False,
        "find_unused_parameters": cfg.get("find_unused_parameters", False),
    }
    cfg.model_wrapper_cfg = {**wrapper, "device_ids": None}
    return [
        f"No GPU here: {torch.distributed.get_world_size()} processes on the CPU with gloo in place of {backend}."
    ]
