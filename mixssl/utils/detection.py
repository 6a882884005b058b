"""Detection is an extra: it needs mmdet and mmcv's compiled operators, and nothing else in mixssl does."""

from __future__ import annotations

import contextlib
import importlib
import io

import torch

from mixssl.utils.errors import ConfigError

__all__ = ["missing_for_detection", "require_detection"]

WAY_OUT = (
    "run make det (in an environment of your own: pip install --no-deps -r requirements/det.txt, then "
    "python tools/setup/mmcv_ops.py)"
)


def missing_for_detection() -> str | None:
    """Names what detection lacks in this environment, found by importing it.

    Returns:
        A line that names the missing part and the command that adds it; None if everything is there.
    """
    for module, name in (
        ("pycocotools.mask", "pycocotools"),
        ("mmcv._ext", "mmcv's compiled operators (mmcv._ext)"),
        ("mmdet", "mmdet (onedl-mmdetection)"),
        ("mmdet.models", "all that mmdet (onedl-mmdetection) imports"),
        ("mmdet.datasets", "all that the data sets of mmdet (onedl-mmdetection) import"),
    ):
        try:
            with contextlib.redirect_stdout(io.StringIO()):  # it tells of data sets it can't read
                importlib.import_module(module)
        except Exception as error:  # whatever it is, the module is of no use
            reason = str(error).partition("\n")[0]
            return f"detection needs {name}, which can't be imported here ({reason}): {WAY_OUT}"
    return _missing_for_gpu()


def require_detection() -> None:
    """Raises where detection can't run.

    Raises:
        ConfigError: With the line of :func:`missing_for_detection`.
    """
    missing = missing_for_detection()
    if missing is not None:
        raise ConfigError(missing)


def _missing_for_gpu() -> str | None:
    """A run would take the GPU that it sees, for which operators compiled without nvcc are of no use."""
    from mmcv.ops import get_compiling_cuda_version

    if not torch.cuda.is_available() or get_compiling_cuda_version() != "not available":
        return None
    return (
        "mmcv's operators here are for the CPU alone, and this machine has a GPU: put nvcc of CUDA "
        f"{torch.version.cuda} on the PATH and run make det again, or hide the GPU with CUDA_VISIBLE_DEVICES=''"
    )
