"""Freed memory stays with the process: the kernel is not asked for the same pages again."""

import subprocess
import sys

import pytest

from mixssl.utils.malloc import SET_BY_USER, keep_freed_memory

FAULTS = """
import resource, sys, torch
from mixssl.utils.malloc import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for turn in range(8):
    if turn == 3:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    kept = [torch.ones(10_000_000) for _ in range(2)]  # 40 MB each, 19,500 pages in all
    del kept
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    """Pages that five turns asked the kernel for, after three in which the heap may grow."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's")
def test_the_same_pages_serve_again() -> None:
    # Each tensor is larger than the 32 MB from which glibc always asks the kernel. Below, it learns a threshold of its
    # own, and whether it hands back depends on what lies behind the block.
    handed_back, kept = _faults("default"), _faults("keep")
    assert kept < 10_000 < 90_000 < handed_back


@pytest.mark.parametrize("name", [*SET_BY_USER, "GLIBC_TUNABLES"])
def test_what_the_user_has_set_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "glibc.malloc.trim_threshold=1")
    assert not keep_freed_memory()


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr("ctypes.CDLL", absent)
    assert not keep_freed_memory()
