"""Which versions of its foundations mixssl works with, checked when it is imported.

Nothing outside the standard library is imported at the top: setup.py reads :data:`REQUIRED` before anything
is installed.
"""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

__all__ = ["REQUIRED", "Requirement", "check_versions"]


class Requirement(NamedTuple):
    """A package that has to be there in a version within bounds.

    ``distributions`` are the names under which package registries know it, the recommended one first;
    any of them will do. ``bounds`` are in the notation of pip.
    """

    module: str
    distributions: tuple[str, ...]
    bounds: str


REQUIRED = (
    Requirement("torch", ("torch",), ">=2.11,<2.12"),
    Requirement("torchvision", ("torchvision",), ">=0.26,<0.27"),
    Requirement("mmengine", ("onedl-mmengine", "mmengine"), ">=0.10.12,<0.11"),
    Requirement("mmcv", ("onedl-mmcv", "mmcv", "mmcv-lite"), ">=2.3.6,<2.4"),
    Requirement("mmpretrain", ("onedl-mmpretrain", "mmpretrain"), ">=1.3.6,<1.4"),
)


def check_versions(required: Iterable[Requirement] = REQUIRED) -> None:
    """Checks that every requirement is installed within its bounds; reads metadata, imports nothing of them.

    Raises:
        ImportError: A package is missing or its version lies outside. The message is one line with the version
            found, the range allowed, and the command that installs the right one.
    """
    from packaging.specifiers import SpecifierSet

    for requirement in required:
        wanted = f"{requirement.module}{requirement.bounds}"
        command = f"pip install '{requirement.distributions[0]}{requirement.bounds}'"
        found = _installed(requirement.distributions)
        if found is None:
            raise ImportError(f"mixssl needs {wanted}, but it is not installed; run: {command}")
        name, number = found
        if not SpecifierSet(requirement.bounds).contains(number, prereleases=True):
            raise ImportError(f"mixssl needs {wanted}, but found {name} {number}; run: {command}")


def _installed(distributions: Iterable[str]) -> tuple[str, str] | None:
    """Name and version of the first distribution that is installed, if one is."""
    for name in distributions:
        try:
            return name, version(name)
        except PackageNotFoundError:
            continue
    return None
