"""Version bounds: one line that says what was found, what is allowed, and what to run."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from mixssl.utils import versions
from mixssl.utils.versions import REQUIRED, Requirement, check_versions

ENGINE = Requirement(
    "mmengine", ("onedl-mmengine", "mmengine"), ">=0.10.12,<0.11", "<0.10.8", "it can't resume"
)


@pytest.fixture(autouse=True)
def _as_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(versions.ANY_VERSION, raising=False)


def _install(monkeypatch: pytest.MonkeyPatch, **installed: str) -> None:
    """Pretends that only these distributions are installed; an underscore stands for a hyphen."""
    known = {name.replace("_", "-"): number for name, number in installed.items()}

    def version(name: str) -> str:
        if name not in known:
            raise PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(versions, "version", version)


def test_what_is_installed_here_passes() -> None:
    assert {requirement.module for requirement in REQUIRED} == {
        "torch",
        "torchvision",
        "mmengine",
        "mmcv",
        "mmpretrain",
    }
    check_versions()


@pytest.mark.parametrize("name", ["onedl_mmengine", "mmengine"])
def test_either_distribution_of_a_module_will_do(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    _install(monkeypatch, **{name: "0.10.13"})
    check_versions([ENGINE])
    _install(monkeypatch, **{name: "0.10.7"})
    with pytest.raises(ImportError, match="0.10.7"):
        check_versions([ENGINE])


@pytest.mark.parametrize("number", ["0.10.7", "0.9.1"])
def test_a_version_that_fails_is_named_with_reason_range_and_command(
    monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    _install(monkeypatch, mmengine=number)
    with pytest.raises(ImportError) as caught:
        check_versions([ENGINE])
    assert str(caught.value) == (
        f"mixssl needs mmengine>=0.10.12,<0.11, but found mmengine {number}: it can't resume; run: pip install "
        "'onedl-mmengine>=0.10.12,<0.11', or set MIXSSL_ANY_VERSION=1 to try it all the same"
    )


@pytest.mark.parametrize("number", ["0.10.8", "0.11.0", "1.0"])
def test_a_version_that_nobody_has_tried_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    _install(monkeypatch, mmengine=number, torch="2.12.0")
    torch = Requirement("torch", ("torch",), ">=2.11,<2.12", "<2.4", "it is old")
    with pytest.warns(UserWarning, match="not tested") as caught:
        check_versions([torch, ENGINE])
    (warning,) = caught
    assert str(warning.message) == (
        f"mixssl is not tested with torch 2.12.0 for >=2.11,<2.12, mmengine {number} for >=0.10.12,<0.11: "
        "if something fails, run: pip install 'torch>=2.11,<2.12' 'onedl-mmengine>=0.10.12,<0.11'; "
        "MIXSSL_ANY_VERSION=1 silences this"
    )


@pytest.mark.parametrize("number", ["0.9.1", "0.11.0"])
def test_any_version_passes_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, number: str, recwarn: pytest.WarningsRecorder
) -> None:
    monkeypatch.setenv(versions.ANY_VERSION, "1")
    _install(monkeypatch, mmengine=number)
    check_versions([ENGINE])
    assert not recwarn.list
    _install(monkeypatch, torch="2.11.0")
    with pytest.raises(ImportError, match="not installed"):
        check_versions([ENGINE])


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    _install(monkeypatch, torch="2.11.0")
    with pytest.raises(ImportError) as caught:
        check_versions([ENGINE])
    assert str(caught.value) == (
        "mixssl needs mmengine>=0.10.12,<0.11, but it is not installed; "
        "run: pip install 'onedl-mmengine>=0.10.12,<0.11'"
    )


def test_local_builds_and_candidates_count_as_their_release(
    monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    torch = Requirement("torch", ("torch",), ">=2.11,<2.12", "<2.4", "it is old")
    for number in ("2.11.0+cu130", "2.11.1rc1"):
        _install(monkeypatch, torch=number)
        check_versions([torch])
    assert not recwarn.list


def test_importing_mixssl_checks_before_it_touches_mmengine() -> None:
    code = (
        "import importlib.metadata as m, sys\n"
        "real = m.version\n"
        "m.version = lambda name: '0.9.0' if name.endswith('mmengine') else real(name)\n"
        "try:\n"
        "    import mixssl\n"
        "except ImportError as error:\n"
        "    print('mmengine' in sys.modules, error)\n"
    )
    root = Path(__file__).parents[2]
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    assert out.startswith("False mixssl needs mmengine>=")
    assert out.count("\n") == 1
