"""What is installed, what can run here, and what is missing and how to get it."""

import argparse
import importlib.metadata
import os
import platform
import time

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope
from rich.console import Console
from rich.table import Table

from mixssl.cli.benchmark import TrainStep
from mixssl.cli.tool import tools_folder
from mixssl.utils.detection import require_detection
from mixssl.utils.errors import ConfigError
from mixssl.utils.memory import available_bytes, readable_size
from mixssl.utils.versions import REQUIRED
from mixssl.version import __version__

OPTIONAL = {
    "timm": ("timm", "checks exported backbones in timm", "mixssl[timm]"),
    "pyarrow": (
        "pyarrow",
        "reads and writes parquet, reads Hugging Face data sets",
        "mixssl[images]",
    ),
    "lmdb": ("lmdb", "reads LMDB", "mixssl[images]"),
    "tifffile": ("tifffile", "reads TIFF", "mixssl[images]"),
    "tensorboard": ("tensorboard", "curves in TensorBoard", "tensorboard"),
}
"""Distribution, what it is for, and what to install."""


def doctor(args: argparse.Namespace) -> None:
    """What ``mixssl doctor`` does.

    Raises:
        SystemExit: With code 1 if a training step fails here.
    """
    console = Console(soft_wrap=True, highlight=False)
    table = Table(
        title=f"mixssl {__version__} on Python {platform.python_version()}", title_justify="left"
    )
    for name in ("what", "found", "note"):
        table.add_column(name, overflow="fold")
    for package in REQUIRED:
        found = next((_version(name) for name in package.distributions if _version(name)), None)
        table.add_row(package.module, found or "missing", f"tested with {package.bounds}")
    for name, use, extra in OPTIONAL.values():
        found = _version(name)
        table.add_row(name, found or "missing", use if found else f"{use}: pip install '{extra}'")
    try:
        require_detection()
        table.add_row("detection", "can run", "")
    except ConfigError as error:
        table.add_row("detection", "can't run", str(error))
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    table.add_row("GPUs", str(len(gpus)), ", ".join(gpus) or "training runs on the CPU")
    cores = len(os.sched_getaffinity(0))
    table.add_row("CPU", f"{cores} cores", f"{readable_size(available_bytes())} of memory are free")
    console.print(table)
    for device in ["cpu", *(["cuda"] if gpus else [])]:
        try:
            console.print(f"{device}: {_step(device)}")
        except Exception as error:
            console.print(f"{device}: a training step fails: {' '.join(str(error).split())}")
            raise SystemExit(1) from error


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _step(device: str) -> str:
    """Trains the demo's MoCo with Un-Mix for a step on random images, of which the device makes the views."""
    cfg = Config.fromfile(tools_folder().parent / "configs/demo/unmix_mocov2_r18_digits.py")
    crop = {"type": "RandomResizedCrop", "scale": 16}
    flip = {"type": "RandomFlip", "prob": 0.5}
    cfg.data_preprocessor.views = {"num_views": 2, "transforms": [[crop, flip]]}
    MMLogger.get_current_instance().setLevel("ERROR")  # it lists every tensor that is drawn
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        step = TrainStep(cfg, torch.device(device), synthetic=False)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (16, 3, 20, 20), generator=generator).byte()
    start = time.perf_counter()
    step.seconds({"inputs": images})
    took = time.perf_counter() - start
    if not all(bool(value.isfinite().all()) for value in step.model.parameters()):
        raise RuntimeError("weights are not finite after a step")
    return f"a training step with a mixture works ({took:.2f} s)"
