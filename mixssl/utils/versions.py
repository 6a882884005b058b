"""Which versions of its foundations mixssl works with, checked when it is imported.

Nothing outside the standard library is imported at the top: setup.py reads :data:`REQUIRED` before anything
is installed.
"""

import os
import warnings
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

ANY_VERSION = "MIXSSL_ANY_VERSION"
"""Environment variable that turns the check of versions off, with any value but an empty one."""


class Requirement(NamedTuple):
    """A package that has to be there.

    ``distributions`` are the names under which package registries know it, the recommended one first;
    any of them will do. ``bounds`` are what the tests run with and ``fails`` what is known not to work, if anything is,
    both in the notation of pip; between them lies what may work. ``why`` says what fails.
    """

    module: str
    distributions: tuple[str, ...]
    bounds: str
    fails: str = ""
    why: str = ""


REQUIRED = (
    Requirement("torch", ("torch",), ">=2.11,<2.12"),
    Requirement("torchvision", ("torchvision",), ">=0.26,<0.27"),
    Requirement(
        "mmengine",
        ("onedl-mmengine", "mmengine"),
        ">=0.10.12,<0.11",
        fails="<0.10.8",
        why="it can't read its own checkpoints with torch 2.6 and later, so that no run can be resumed",
    ),
    Requirement(
        "mmcv",
        ("onedl-mmcv", "mmcv", "mmcv-lite"),
        ">=2.3.6,<2.4",
        fails="<2.0",
        why="it has no mmcv.transforms",
    ),
    Requirement("mmpretrain", ("onedl-mmpretrain", "mmpretrain"), ">=1.3.6,<1.4"),
)


def check_versions(required: Iterable[Requirement] = REQUIRED) -> None:
    """Checks that every requirement is installed; reads metadata, imports nothing of them.

    A version beyond the tested ones is said in one warning. ``MIXSSL_ANY_VERSION=1`` in the environment silences it and
    lets versions pass that are known to fail.

    Raises:
        ImportError: A package is missing or its version is known to fail. The message is one line with the version
            found, the range tested, and the command that installs the right one.
    """
    from packaging.specifiers import SpecifierSet

    any_version, untested, commands = bool(os.environ.get(ANY_VERSION)), [], []
    for requirement in required:
        wanted = f"{requirement.module}{requirement.bounds}"
        package = f"'{requirement.distributions[0]}{requirement.bounds}'"
        found = _installed(requirement.distributions)
        if found is None:
            raise ImportError(
                f"mixssl needs {wanted}, but it is not installed; run: pip install {package}"
            )
        name, number = found
        if any_version or SpecifierSet(requirement.bounds).contains(number, prereleases=True):
            continue
        if requirement.fails and SpecifierSet(requirement.fails).contains(number, True):
            raise ImportError(
                f"mixssl needs {wanted}, but found {name} {number}: {requirement.why}; run: pip install {package}, or "
                f"set {ANY_VERSION}=1 to try it all the same"
            )
        untested.append(f"{name} {number} for {requirement.bounds}")
        commands.append(package)
    if untested:
        warnings.warn(
            f"mixssl is not tested with {', '.join(untested)}: if something fails, run: pip install "
            f"{' '.join(commands)}; {ANY_VERSION}=1 silences this",
            stacklevel=2,
        )


def _installed(distributions: Iterable[str]) -> tuple[str, str] | None:
    """Name and version of the first distribution that is installed, if one is."""
    for name in distributions:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return None
