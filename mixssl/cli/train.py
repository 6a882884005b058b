"""What tools/train.py does: reads, checks, builds, trains."""

import argparse
import os
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import find_latest_checkpoint

from mixssl.cli.experiment.lengths import fit_epochs
from mixssl.cli.launch import (
    load_config,
    prepare_devices,
    set_data_root,
)
from mixssl.cli.processes import launched_processes, requeued
from mixssl.cli.run_defaults import fill_loaders
from mixssl.cli.runners import build_runner
from mixssl.cli.speed import write_speed
from mixssl.utils.cfg_options import merge_options
from mixssl.utils.checkpoints import require_whole
from mixssl.utils.config_checks import check_config, forbid_silent_download
from mixssl.utils.errors import ConfigError


def train(args: argparse.Namespace) -> None:
    """Trains by the arguments of tools/train.py; nothing is built before everything is checked."""
    cfg = load_config(args)
    stretched = [] if args.epochs is None else fit_epochs(cfg, args.epochs, few_checkpoints=False)
    cfg = merge_args(cfg, args)
    forbid_silent_download(cfg)
    check_config(cfg, launched_processes(cfg.launcher))
    write_speed(cfg, args)  # after the checks, which name things by their place in the config
    notes = choose_checkpoint(cfg, args.resume)
    if cfg.get("load_from") is not None and "://" not in cfg.load_from:
        require_whole(cfg.load_from)
    notes += batch_note(cfg, launched_processes(cfg.launcher)) + prepare_devices(cfg)
    if stretched:
        notes.append(f"--epochs {args.epochs}: {'; '.join(stretched)}.")
    build_runner(cfg, notes).train()


def merge_args(cfg: Config, args: argparse.Namespace) -> Config:
    """Writes the command line into the config; --cfg-options have the last word."""
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    if args.auto_scale_lr:
        if cfg.get("auto_scale_lr") is None:
            raise ConfigError(
                "--auto-scale-lr needs the batch size for which the config's learning rate was set: add "
                "auto_scale_lr=dict(base_batch_size=256) to the config"
            )
        cfg.auto_scale_lr.enable = True
    if args.seed is not None or args.deterministic:
        cfg.setdefault("randomness", {})
    if args.seed is not None:
        cfg.randomness["seed"] = args.seed
    if args.deterministic:
        cfg.randomness["deterministic"] = True
        os.environ.setdefault(
            "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
        )  # CUDA asks for it before its first use
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    merge_options(cfg, args.cfg_options)
    fill_loaders(cfg, not args.no_pin_memory, not args.no_persistent_workers)
    return cfg


def choose_checkpoint(cfg: Config, resume: str | None) -> list[str]:
    """Settles where to start from: ``--resume PATH``, ``--resume``, or as the config says.

    A job that Slurm has queued again goes on from its own latest checkpoint, whatever it was started from at first.

    Returns:
        What the log should say about it.
    """
    notes = []
    if requeued() and (resume is None or latest_checkpoint(cfg.work_dir)):
        notes.append("Slurm has queued this job before, so the run is resumed.")
        resume = "auto"
    if resume is not None:
        cfg.resume, cfg.load_from = True, None if resume == "auto" else resume
    if cfg.get("resume") and cfg.get("load_from") is None:
        cfg.load_from = latest_checkpoint(cfg.work_dir)
        cfg.resume = cfg.load_from is not None
        found = (
            f"continuing from {cfg.load_from}"
            if cfg.resume
            else "found no checkpoint, starting from scratch"
        )
        notes.append(f"--resume looked into {cfg.work_dir}: {found}.")
    path = cfg.get("load_from")
    if path is not None and "://" not in path and not os.path.isfile(path):
        raise ConfigError(
            f"there is no checkpoint {path!r}: name an existing one, or give --resume without a path for the latest in "
            f"{cfg.work_dir}"
        )
    return notes


def latest_checkpoint(work_dir: str) -> str | None:
    """The checkpoint that the work directory calls its last, wherever the folder lies now, or else its newest one."""
    if not os.path.isfile(os.path.join(work_dir, "last_checkpoint")):
        return newest_checkpoint(work_dir)
    named = find_latest_checkpoint(work_dir) or ""
    for path in (named, os.path.join(work_dir, os.path.basename(named))):
        if os.path.isfile(path):
            return path
    return newest_checkpoint(work_dir)


def newest_checkpoint(work_dir: str) -> str | None:
    """The checkpoint written last, by its time."""
    found = [
        path
        for pattern in ("epoch_*.pth", "iter_*.pth", "interrupted.pth")
        for path in Path(work_dir).glob(pattern)
    ]
    return str(max(found, key=lambda path: path.stat().st_mtime)) if found else None


def batch_note(cfg: Config, processes: int) -> list[str]:
    """Says that a run's batches are not of the size for which the config's learning rate was set, if so."""
    scaling = cfg.get("auto_scale_lr") or {}
    wanted, own = scaling.get("base_batch_size"), cfg.train_dataloader.get("batch_size")
    if wanted is None or own is None or scaling.get("enable") or own * processes == wanted:
        return []
    return [
        f"The learning rate and the length of this config are for batches of {wanted} images, and this run has "
        f"{own * processes} ({own} on each of {processes} devices): set train_dataloader.batch_size to "
        f"{wanted} / {processes}, or give --auto-scale-lr."
    ]
