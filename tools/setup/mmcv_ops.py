#!/usr/bin/env python
"""Gives this environment mmcv's compiled operators, which detection needs: python tools/setup/mmcv_ops.py

The wheel is compiled once per Python and torch version and kept in the user's cache folder; every later clone only
installs it. Only the standard library and torch are imported, as mmcv may be missing or half installed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PIN = ROOT / "requirements" / "mmcv.txt"
PIP = (sys.executable, "-m", "pip")
BUILD = ("--no-cache-dir", "--no-build-isolation", "--no-deps", "--no-binary", "onedl-mmcv")
"""Without pip's cache, which takes an earlier build without operators for the same thing."""
EVERY = 15.0
"""Seconds between two lines about work that goes on."""
SHOWN_OF_LOG = 15
PROOF = """
import sys, torch, mmcv._ext
from mmcv.ops import nms, roi_align
for device in ["cpu", "cuda"] if sys.argv[1] == "True" and torch.cuda.is_available() else ["cpu"]:
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3.9], [8, 8, 9, 9]], device=device)
    kept = nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), 0.5)[1].tolist()
    assert kept == [0, 2], f"nms keeps {kept}"
    ones = roi_align(torch.ones(1, 1, 8, 8, device=device), torch.tensor([[0.0, 1, 1, 5, 5]], device=device), 2)
    assert ones.eq(1).all(), "roi_align of ones is not one"
"""


class SetupError(RuntimeError):
    """What a person at a terminal can set right, in a line."""


class Target(NamedTuple):
    """What is to be built: ``requirement`` as pip takes it, the folder's name in the cache, and for which devices."""

    requirement: str
    key: str
    cuda: bool


def say(line: str) -> None:
    """Prints at once, also into a pipe."""
    print(f"det: {line}", flush=True)


def choose_target(env: Mapping[str, str]) -> Target:
    """Reads the pin and looks at torch; for a GPU if there is one and ``nvcc``, or as ``FORCE_CUDA`` (0, 1) says.

    Raises:
        SetupError: If torch is missing, or a compiler for CUDA that is asked for.
    """
    try:
        import torch
    except ImportError as error:
        raise SetupError(f"torch must be there first ({error}): run make setup") from error
    lines = [line.strip() for line in PIN.read_text().splitlines()]
    (requirement,) = (line for line in lines if line and not line.startswith("#"))
    asked = env.get("FORCE_CUDA", "")
    nvcc = shutil.which("nvcc") or shutil.which("nvcc", path=f"{env.get('CUDA_HOME', '')}/bin")
    if asked == "1" and nvcc is None:
        raise SetupError("FORCE_CUDA=1 and no nvcc: install the CUDA toolkit, or set CUDA_HOME")
    cuda = asked == "1" or (asked != "0" and torch.cuda.is_available() and nvcc is not None)
    if torch.cuda.is_available() and not cuda:
        why = "FORCE_CUDA=0" if nvcc else f"there is no nvcc of CUDA {torch.version.cuda}"
        say(f"the operators will be for the CPU alone, although there is a GPU: {why}")
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    key = f"{python}-torch{torch.__version__}{'-cuda' if cuda else ''}"
    return Target(requirement, key, cuda)


def cache_folder(key: str, env: Mapping[str, str]) -> Path:
    """``$XDG_CACHE_HOME/mixssl/wheels/<key>``, below ``~/.cache`` where the variable is not set."""
    base = env.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mixssl" / "wheels" / key


def kept_wheel(folder: Path, requirement: str) -> Path | None:
    """The wheel that an earlier build has left for this kind of machine; a damaged one is removed."""
    name = requirement.replace("-", "_").replace("==", "-")
    for wheel in sorted(folder.glob(f"{name}-*_{platform.machine()}.whl")):
        reason = flaw(wheel)
        if reason is None:
            return wheel
        say(f"{wheel} {reason}: removing it")
        wheel.unlink()
    return None


def flaw(wheel: Path) -> str | None:
    """Says why a wheel is of no use: it is damaged, or pip has built it without operators."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if archive.testzip() is not None:
                return "is damaged"
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return "is damaged"
    operators = any(name.startswith("mmcv/_ext.") and name.endswith(".so") for name in names)
    return None if operators else "holds no compiled operators"


@contextlib.contextmanager
def locked(folder: Path, every: float = EVERY) -> Iterator[None]:
    """Lets one process at a time work in a folder; the kernel frees the lock of one that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    started = said = time.monotonic()
    with (folder / ".lock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                now = time.monotonic()
                if said == started or now - said >= every:
                    waited = duration(now - started)
                    say(f"another make det works on the same wheel; waiting for it ({waited})")
                    said = now
                time.sleep(0.2)
        yield


def duration(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def compiled(folder: Path) -> str:
    """How far a build has come, from the files it has made."""
    done = sum(1 for _ in folder.rglob("*.o"))
    plans = [plan.read_text(errors="replace") for plan in folder.rglob("build.ninja")]
    total = sum(plan.count(".o: ") for plan in plans)
    if not done and not total:
        return "preparing"
    return f"{done} of {total} files compiled" if total else f"{done} files compiled"


def build(target: Target, folder: Path, pip: Sequence[str] = PIP, every: float = EVERY) -> Path:
    """Compiles the wheel in a folder of its own and moves it to its place once it is whole.

    The caller holds the lock of ``folder``, where the log stays if the build fails.

    Raises:
        SetupError: If there is no compiler, or the build fails.
    """
    for leftover in folder.glob(".build-*"):
        shutil.rmtree(leftover, ignore_errors=True)  # of a build that was killed
    check_compiler()
    say(
        f"compiling the operators of {target.requirement} for {target.key}: there is no ready-made wheel for this "
        "torch, and the C++ code takes about 12 minutes on two cores, once"
    )
    scratch = Path(tempfile.mkdtemp(prefix=".build-", dir=folder))
    log = folder / "build.log"
    try:
        command = [*pip, "wheel", *BUILD, "-w", str(scratch / "out"), target.requirement]
        code = run_with_lines(command, build_env(target, scratch), log, every)
        made = sorted((scratch / "out").glob("*.whl"))
        reason = flaw(made[0]) if made else "was not made"
        if code or reason:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-SHOWN_OF_LOG:])
            why = f"pip ended with code {code}" if code else f"the wheel {reason}"
            raise SetupError(f"{tail}\ndet: the build failed ({why}); its whole log is {log}")
        place = folder / made[0].name
        made[0].replace(place)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    log.unlink(missing_ok=True)
    say(f"kept for the next clone: {place}")
    return place


def check_compiler() -> None:
    """Raises a SetupError where a C++ compiler or Python's headers are missing."""
    compiler = os.environ.get("CXX", "c++").split()[0]
    if shutil.which(compiler) is None and shutil.which("g++") is None:
        raise SetupError(f"there is no C++ compiler ({compiler}): install one, for instance g++")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        raise SetupError(
            f"Python's headers are missing ({sysconfig.get_path('include')}/Python.h): install them, for instance the "
            f"package python{sys.version_info.major}.{sys.version_info.minor}-dev"
        )


def build_env(target: Target, scratch: Path) -> dict[str, str]:
    """Environment of the build: temporary files in ``scratch``, ninja on the path, devices as chosen."""
    (scratch / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(scratch / "tmp"), "MMCV_WITH_OPS": "1"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["FORCE_CUDA"] = "1" if target.cuda else "0"
    if not target.cuda:
        env["CUDA_VISIBLE_DEVICES"] = ""  # mmcv compiles for a GPU wherever it sees one
    return env


def run_with_lines(command: Sequence[str], env: Mapping[str, str], log: Path, every: float) -> int:
    """Runs a build into a log and prints how it is getting on; gives its exit code, and ends it when stopped."""
    started = time.monotonic()
    scratch = Path(env["TMPDIR"])
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, env=env, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            while True:
                try:
                    return process.wait(timeout=every)
                except subprocess.TimeoutExpired:
                    say(f"{compiled(scratch)}, {duration(time.monotonic() - started)}")
        finally:
            end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Ends what is left of a process and its children: asked first, since ninja alone can end its compilers."""
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 1.0)):
        deadline = time.monotonic() + patience
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
            while time.monotonic() < deadline:
                process.poll()  # takes leave of it once it has ended
                os.killpg(process.pid, 0)
                time.sleep(0.05)
    process.wait()


def provide(
    target: Target, env: Mapping[str, str], pip: Sequence[str] = PIP, every: float = EVERY
) -> Path:
    """The wheel from the cache, built first where it is not there; one process at a time."""
    folder = cache_folder(target.key, env)
    with locked(folder, every):
        return kept_wheel(folder, target.requirement) or build(target, folder, pip, every)


def complaint(cuda: bool) -> str | None:
    """Says why the operators of this environment are of no use; None if they work."""
    command = [sys.executable, "-W", "ignore", "-c", PROOF, str(cuda)]
    done = subprocess.run(command, capture_output=True, text=True)
    lines = done.stderr.strip().splitlines() or [f"the proof ended with code {done.returncode}"]
    return lines[-1] if done.returncode else None


def install(wheel: Path, pip: Sequence[str] = PIP) -> None:
    """Puts a wheel in the place of the mmcv that is there, whose version is the same."""
    say(f"installing {wheel}")
    options = ["-q", "--force-reinstall", "--no-deps"]
    if subprocess.run([*pip, "install", *options, str(wheel)]).returncode:
        raise SetupError(f"{wheel} could not be installed")


def main() -> None:
    """Looks, takes from the cache or builds, installs, proves; a kept wheel that does not work is built anew."""
    target = choose_target(os.environ)
    reason = complaint(target.cuda)
    if reason is not None:
        wheel = provide(target, os.environ)
        install(wheel)
        reason = complaint(target.cuda)
    if reason is not None:
        say(f"{wheel} does not work here ({reason}): building it anew")
        wheel.unlink(missing_ok=True)
        install(provide(target, os.environ))
        reason = complaint(target.cuda)
    if reason is not None:
        raise SetupError(f"the operators were built and do not work ({reason})")
    say("mmcv's operators are there and work")


def _stop(signum: int, frame: FrameType | None) -> None:
    """Leaves through the clean-up of whatever is going on."""
    raise SystemExit(128 + signum)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        main()
    except SetupError as error:
        sys.exit(f"det: {error}")
