"""What pip builds: the package whole, what mim and mmengine look into, and what Python reads when it starts."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from modelindex.load_model_index import load as load_model_index
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from support.packaging import CONTENT, build_wheel, copy_source, run, tracked
from support.tools import ROOT

import mixssl

BESIDE = {"_mixssl_bases.py", "mixssl.pth"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_the_package_the_configs_and_the_tools_and_nothing_else(
    wheel: Path,
) -> None:
    package = {name for name in tracked("mixssl") if name.endswith((".py", ".html"))}
    extras = {f"mixssl/.mim/{name}" for name in tracked(*CONTENT)}
    assert "mixssl/.mim/model-index.yml" in extras
    for folder in ("configs", "tools"):
        assert any(name.startswith(f"mixssl/.mim/{folder}/") for name in extras)
    assert _names(wheel) == package | extras | BESIDE


def test_a_wheel_built_from_the_source_archive_is_the_same(
    source: Path, wheel: Path, tmp_path: Path
) -> None:
    build = "from setuptools import build_meta; build_meta.build_sdist({!r})"
    run(sys.executable, "-c", build.format(str(tmp_path)), cwd=source)
    (archive,) = tmp_path.glob("*.tar.gz")
    assert "__pycache__" not in run("tar", "tzf", archive, cwd=tmp_path)
    run("tar", "xzf", archive, cwd=tmp_path)
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    again = build_wheel(unpacked, tmp_path)
    assert _names(again) == _names(wheel)


@pytest.mark.parametrize("one_of", [min, max])
def test_configs_of_an_installed_wheel_are_found_by_name(
    wheel: Path, tmp_path: Path, one_of: Callable[..., str]
) -> None:
    name = one_of(name for name in tracked("configs") if name.endswith(".py") and "/_" not in name)
    name = name.removeprefix("configs/")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (tmp_path / "mine.py").write_text(f"_base_ = 'mixssl::{name}'\nmine = 1\n")
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import mixssl\n"
        "from mmengine.config import Config\n"
        "from mmengine.hub import get_config\n"
        f"mine, whole = Config.fromfile('mine.py'), get_config('mixssl::{name}')\n"
        "assert mine.pop('mine') == 1 and mine.to_dict() == whole.to_dict()\n"
        "print(mixssl.__file__, whole.filename)\n"
    )
    found = run(sys.executable, "-c", code, cwd=tmp_path).split()
    assert found[-2:] == [
        str(site / "mixssl/__init__.py"),
        str(site / "mixssl/.mim/configs" / name),
    ]


def test_an_editable_installation_links_to_the_source(source: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    run("cp", "-r", source, copy, cwd=tmp_path)
    options = ("--no-deps", "--no-build-isolation", "--no-index", "-q", "--target", tmp_path / "t")
    for _ in range(2):  # the second time the links are already there
        run(sys.executable, "-m", "pip", "install", *options, "--upgrade", "-e", copy, cwd=tmp_path)
        for name in CONTENT:
            link = copy / "mixssl/.mim" / name
            assert link.is_symlink()
            assert link.resolve() == (copy / name).resolve()
        assert {path.name for path in (tmp_path / "t").iterdir()} >= BESIDE


def test_the_model_index_names_every_metafile_and_they_name_every_config_beside_them() -> None:
    imported = yaml.safe_load((ROOT / "model-index.yml").read_text())["Import"]
    metafiles = sorted(
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("configs/**/metafile.yml")
    )
    assert sorted(imported) == metafiles
    for metafile in metafiles:
        named = {
            model["Config"] for model in yaml.safe_load((ROOT / metafile).read_text())["Models"]
        }
        folder = (ROOT / metafile).parent
        assert named == {path.relative_to(ROOT).as_posix() for path in folder.glob("*.py")}
    index = load_model_index(str(ROOT / "model-index.yml"))
    index.build_models_with_collections()
    assert index.check(silent=True) == []
    assert {model.name for model in index.models} >= {"unmix_mocov2_r50_in1k"}


def _metadata(wheel: Path) -> list[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        lines = archive.read(name).decode().splitlines()
    assert f"Version: {mixssl.__version__}" in lines
    (python,) = (line.split(": ")[1] for line in lines if line.startswith("Requires-Python"))
    assert SpecifierSet(python) == SpecifierSet(">=3.10,<3.14")
    return [Requirement(line.split(": ")[1]) for line in lines if line.startswith("Requires-Dist")]


def test_every_pin_lies_within_the_bounds_that_the_package_declares(wheel: Path) -> None:
    pins = {}
    for file in (ROOT / "requirements").glob("*.txt"):
        for line in file.read_text().splitlines():
            if line and not line.startswith("#"):
                pin = Requirement(line)
                (exact,) = pin.specifier
                assert exact.operator == "=="
                assert pins.setdefault(pin.name, exact.version) == exact.version
    for bound in _metadata(wheel):
        if 'extra == "docs"' not in str(bound.marker):  # the one that no command installs
            assert bound.specifier.contains(pins[bound.name]), bound


def test_the_extras_are_declared(wheel: Path) -> None:
    declared = {str(bound.marker) for bound in _metadata(wheel) if bound.marker}
    assert declared == {
        f'extra == "{extra}"' for extra in ("det", "docs", "images", "test", "timm")
    }


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a target of the Makefile in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "requirements").mkdir()
        (tmp_path / "mixssl/utils").mkdir(parents=True)
        needed = (f"requirements/{file.name}" for file in ROOT.glob("requirements/*.txt"))
        for name in ("setup.py", "mixssl/utils/versions.py", *needed):
            (tmp_path / name).touch()
        command = ["make", "--no-print-directory", "-f", str(ROOT / "Makefile"), *arguments]
        outside = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        return subprocess.run(command, cwd=tmp_path, env=outside, capture_output=True, text=True)

    return run


def test_set_up_refuses_another_python_in_one_line(
    make: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.1 || exit 1\n')
    old.chmod(0o755)
    done = make("setup", f"PYTHON={old}")
    assert done.returncode != 0
    line = done.stderr.splitlines()[0]
    assert line.startswith(f"mixssl needs Python 3.10 to 3.13, but {old} is Python 3.9.1;")
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("verb", "needs_detection"),
    [
        ("det", True),
        ("test", True),
        ("test-gpu", True),
        ("test-slow", True),
        ("demo-det", True),
        ("setup", False),
        ("lint", False),
        ("demo", False),
    ],
)
def test_only_what_detects_installs_detection_and_nothing_is_compiled(
    make: Callable[..., subprocess.CompletedProcess[str]], verb: str, needs_detection: bool
) -> None:
    done = make("-n", verb)
    assert done.returncode == 0, done.stderr
    assert "MMCV_WITH_OPS=0" in done.stdout  # every verb sets up the rest first
    assert ("requirements/det.txt" in done.stdout) == needs_detection


def test_help_has_a_line_for_every_verb(
    make: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    listed, variables = make().stdout.split("\n\n")
    verbs = [line.split()[0] for line in listed.splitlines()]
    assert [line.split()[0] for line in variables.splitlines()] == ["PYTHON"]
    phony = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY")
    )
    assert sorted(verbs) == sorted(phony.split(":")[1].split())
