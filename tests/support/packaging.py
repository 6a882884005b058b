"""What is built and installed as a user would, in folders of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support.tools import ROOT

CONTENT = ("configs", "tools", "model-index.yml")


def tracked(*folders: str) -> set[str]:
    """Files of the source tree below ``folders``, as they should arrive."""
    found = set()
    for folder in folders:
        top = ROOT / folder
        for path in [top] if top.is_file() else top.rglob("*"):
            parts = path.relative_to(ROOT).parts
            if path.is_file() and "__pycache__" not in parts and ".mim" not in parts:
                found.add(path.relative_to(ROOT).as_posix())
    return found


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Runs a command that must succeed, without this checkout on its path, and returns what it prints."""
    env = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "OMP_NUM_THREADS": "1"}
    env.pop("PYTHONPATH", None)
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def copy_source(folder: Path) -> Path:
    """Copies what a release is made of, so that building leaves nothing in the working tree."""
    files = tracked("mixssl", *CONTENT, "requirements")
    named = ("setup.py", "pyproject.toml", "MANIFEST.in", "LICENSE", "README.md", "CHANGELOG.md")
    for name in sorted(files) + [name for name in named if (ROOT / name).exists()]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def build_wheel(source: Path, folder: Path) -> Path:
    """Builds the wheel of a source tree."""
    options = ("--no-deps", "--no-build-isolation", "--no-index", "-q", "-w", folder)
    run(sys.executable, "-m", "pip", "wheel", *options, source, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


def environment_with(folder: Path, *installed: str | Path) -> Path:
    """Makes a virtual environment that has what this one has, but of mixssl only what is installed into it.

    Files that Python reads at its start, as of an editable installation, count in the new environment's folder alone.

    Returns:
        Its Python.
    """
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    (site,) = folder.glob("lib/python*/site-packages")
    around = [path for path in sys.path if path.endswith("-packages")]
    (site / "around.pth").write_text("\n".join(around))
    python = folder / "bin/python"
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed", "-q")
    run(
        sys.executable,
        *("-m", "pip", "--python", python, "install", *options, *installed),
        cwd=folder.parent,
    )
    return python
