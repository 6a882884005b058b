"""`make det`: builds whole or not at all, once, one process at a time, and never in silence. pip is a stand-in."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import pytest
from support.tools import ROOT, load_tool

tool = load_tool("setup/mmcv_ops")
TARGET = tool.Target("onedl-mmcv==2.3.6", "cp311-torch2.11.0", False)
NAME = f"onedl_mmcv-2.3.6-cp311-cp311-linux_{platform.machine()}.whl"
FAKE = """
import os, signal, subprocess, sys, time, zipfile
from pathlib import Path
seconds, code, content = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
arguments = sys.argv[4:]
with open({calls!r}, "a") as calls:
    print(*arguments, os.environ["FORCE_CUDA"], os.environ["MMCV_WITH_OPS"], file=calls)
objects = Path(os.environ["TMPDIR"], "build")
objects.mkdir()
(objects / "build.ninja").write_text("build a.o: compile a.cpp\\nbuild b.o: compile b.cpp\\n")
(objects / "a.o").touch()
print("something went wrong in a.cpp" if code else "fine", flush=True)
# As ninja does: compilers are in groups of their own, and end when ninja is asked to.
compiler = subprocess.Popen(["sleep", "61.5"], start_new_session=True)
def stop(*_):
    compiler.kill()
    sys.exit(1)
signal.signal(signal.SIGTERM, stop)
time.sleep(seconds)
compiler.kill()
if code:
    sys.exit(code)
out = Path(arguments[arguments.index("-w") + 1])
out.mkdir()
with zipfile.ZipFile(out / {name!r}, "w") as archive:
    archive.writestr(content, b"")
"""
OPERATORS = "mmcv/_ext.cpython-311-x86_64-linux-gnu.so"


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return tmp_path / "calls"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture
def folder(env: dict[str, str]) -> Path:
    return tool.cache_folder(TARGET.key, env)


def _pip(calls: Path, seconds: float = 0, code: int = 0, content: str = OPERATORS) -> list[str]:
    """A command that takes the place of pip."""
    fake = calls.with_name("fake_pip.py")
    fake.write_text(FAKE.format(calls=str(calls), name=NAME))
    return [sys.executable, str(fake), str(seconds), str(code), content]


def test_the_cache_is_keyed_by_python_and_torch_below_the_users_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    target = tool.choose_target({"FORCE_CUDA": "0"})
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert target == ("onedl-mmcv==2.3.6", f"{python}-torch{torch.__version__}", False)
    monkeypatch.setattr(tool.shutil, "which", lambda name, path=None: "/usr/bin/nvcc")
    assert tool.choose_target({"FORCE_CUDA": "1"}).key == f"{target.key}-cuda"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tool.cache_folder("k", {}) == tmp_path / ".cache/mixssl/wheels/k"
    assert tool.cache_folder("k", {"XDG_CACHE_HOME": "/c"}) == Path("/c/mixssl/wheels/k")


def test_cuda_without_its_compiler_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool.shutil, "which", lambda name, path=None: None)
    with pytest.raises(tool.SetupError, match="FORCE_CUDA=1 and no nvcc"):
        tool.choose_target({"FORCE_CUDA": "1"})


def test_a_build_says_how_long_it_takes_shows_progress_and_is_kept(
    calls: Path, env: dict[str, str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = tool.provide(TARGET, env, _pip(calls, seconds=1), every=0.3)
    assert wheel == folder / NAME and tool.flaw(wheel) is None
    said = capsys.readouterr().out
    assert "no ready-made wheel for this torch" in said and "about 12 minutes" in said
    assert "1 of 2 files compiled, 0 min 00 s" in said
    command = calls.read_text()
    for option in ("--no-cache-dir", "--no-build-isolation", "--no-deps", "onedl-mmcv==2.3.6 0 1"):
        assert option in command
    assert sorted(path.name for path in folder.iterdir()) == sorted([".lock", NAME])
    assert tool.provide(TARGET, env, _pip(calls)) == wheel
    assert len(calls.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "why"), [(b"no archive", "is damaged"), (None, "holds no compiled operators")]
)
def test_a_kept_wheel_that_is_damaged_or_without_operators_is_built_again(
    content: bytes | None,
    why: str,
    calls: Path,
    env: dict[str, str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder.mkdir(parents=True)
    if content is None:
        with zipfile.ZipFile(folder / NAME, "w") as archive:
            archive.writestr("mmcv/__init__.py", b"")
    else:
        (folder / NAME).write_bytes(content)
    assert tool.flaw(tool.provide(TARGET, env, _pip(calls))) is None
    assert f"{NAME} {why}: removing it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "content", "why"),
    [
        (3, OPERATORS, "pip ended with code 3"),
        (0, "mmcv/__init__.py", "the wheel holds no compiled operators"),
    ],
)
def test_a_failed_build_leaves_its_log_and_nothing_else(
    code: int, content: str, why: str, calls: Path, env: dict[str, str], folder: Path
) -> None:
    with pytest.raises(tool.SetupError) as caught:
        tool.provide(TARGET, env, _pip(calls, code=code, content=content))
    assert why in str(caught.value) and str(folder / "build.log") in str(caught.value)
    if code:
        assert "something went wrong in a.cpp" in str(caught.value)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "build.log"]


def test_a_missing_compiler_is_named_before_anything_starts(
    calls: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool.shutil, "which", lambda name: None)
    with pytest.raises(tool.SetupError, match="no C\\+\\+ compiler"):
        tool.provide(TARGET, env, _pip(calls))
    assert not calls.exists()


def _start(env: dict[str, str], pip: list[str], every: float = 0.2) -> subprocess.Popen[str]:
    """A process that does what `make det` does up to the wheel."""
    code = f"""
    import signal, sys
    sys.path.insert(0, {str(ROOT / "tests")!r})
    from support.tools import load_tool
    tool = load_tool("setup/mmcv_ops")
    signal.signal(signal.SIGTERM, tool._stop)
    tool.provide(tool.Target(*{tuple(TARGET)!r}), {env!r}, {pip!r}, {every})
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_stopped_build_leaves_nothing_and_takes_its_compiler_along(
    calls: Path, env: dict[str, str], folder: Path
) -> None:
    process = _start(env, _pip(calls, seconds=60))
    assert process.stdout is not None
    assert any("files compiled" in line for line in process.stdout)
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    assert process.wait(timeout=10) == 128 + signal.SIGTERM
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "build.log"]
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(calls.with_name("fake_pip.py")) not in found
    assert "sleep 61.5" not in found


def test_a_killed_build_is_cleared_away_by_the_next(
    calls: Path, env: dict[str, str], folder: Path
) -> None:
    (folder / ".build-dead" / "tmp").mkdir(parents=True)
    tool.provide(TARGET, env, _pip(calls))
    assert sorted(path.name for path in folder.iterdir()) == sorted([".lock", NAME])


def test_two_at_once_build_once_and_the_second_says_why_it_waits(
    calls: Path, env: dict[str, str]
) -> None:
    first = _start(env, _pip(calls, seconds=1.5))
    deadline = time.monotonic() + 20
    while not calls.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = _start(env, _pip(calls))
    heard = second.communicate(timeout=30)[0]
    assert first.wait(timeout=30) == second.returncode == 0
    assert "another make det works on the same wheel" in heard and "compiling" not in heard
    assert len(calls.read_text().splitlines()) == 1
    assert first.stdout is not None
    first.stdout.close()


def test_the_proof_fails_without_operators(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mmcv").mkdir()
    (tmp_path / "mmcv/__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert tool.complaint(False) == "ModuleNotFoundError: No module named 'mmcv._ext'"


def test_a_kept_wheel_that_does_not_work_is_built_anew_once(
    calls: Path,
    env: dict[str, str],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tool.provide(TARGET, env, _pip(calls))
    answers = iter(["no operators", "undefined symbol", None])
    installed = []
    monkeypatch.setattr(tool, "complaint", lambda cuda: next(answers))
    monkeypatch.setattr(tool, "choose_target", lambda env: TARGET)
    monkeypatch.setattr(tool, "install", installed.append)
    provide = tool.provide
    monkeypatch.setattr(tool, "provide", lambda target, env: provide(target, env, _pip(calls)))
    monkeypatch.setattr(os, "environ", {**os.environ, **env})
    tool.main()
    assert installed == [folder / NAME] * 2
    assert len(calls.read_text().splitlines()) == 2
    assert "does not work here (undefined symbol): building it anew" in capsys.readouterr().out
