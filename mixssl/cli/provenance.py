"""What must be noted beside a figure so that it can be had again."""

import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import mixssl

ROOT = Path(mixssl.__file__).resolve().parents[1]


def circumstances(device: str | torch.device | None = None) -> dict[str, Any]:
    """The code and the machine that this process runs; ``device`` as in :func:`device_name`."""
    return {
        "mixssl": mixssl.__version__,
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "device": device_name(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
    }


def device_name(device: str | torch.device | None = None) -> str:
    """Name of a GPU, or how many cores there are; of the GPU, where there is one, unless a device is given."""
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} CPU cores"


def command() -> str:
    """The command line of this process."""
    return f"python {shlex.join(sys.argv)}"


def commit(root: Path = ROOT) -> str | None:
    """Names the commit that is checked out in a folder; None if it is no checkout or git is absent."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
