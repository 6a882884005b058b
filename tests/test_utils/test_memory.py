"""How much memory is left, from made-up files."""

from pathlib import Path

import pytest

from mixssl.utils.memory import available_bytes, readable_size


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   1000 kB\n")
    return tmp_path


def test_the_machine_says_what_it_has(proc: Path, tmp_path: Path) -> None:
    assert available_bytes(tmp_path / "none", proc) == 1_024_000


def test_a_container_limits(proc: Path, tmp_path: Path) -> None:
    for name, text in {
        "memory.max": "500000\n",
        "memory.current": "300000\n",
        "memory.stat": "anon 1\ninactive_file 50000\n",
    }.items():
        (tmp_path / name).write_text(text)
    assert available_bytes(tmp_path, proc) == 250_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes(tmp_path, proc) == 1_024_000


def test_the_first_version_of_control_groups_limits(proc: Path, tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("500000")
    (tmp_path / "memory/memory.usage_in_bytes").write_text("600000")
    assert available_bytes(tmp_path, proc) == 0


def test_without_files_there_is_an_answer(tmp_path: Path) -> None:
    assert available_bytes(tmp_path, tmp_path) > 0
    assert available_bytes() > 0


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (153_600_000, "154 MB"),
        (999_600_000, "1.0 GB"),
        (2.9e9, "2.9 GB"),
    ],
)
def test_sizes_in_words(size: float, text: str) -> None:
    assert readable_size(size) == text
