"""How much memory there is to take."""

import os
from pathlib import Path

CGROUPS = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)
"""Files of the second and the first version of control groups, which is how containers limit memory."""


def available_bytes(cgroup: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc")) -> int:
    """Memory that a process can still take without swapping or being killed.

    Args:
        cgroup: Where the control group's files lie.
        proc: Where the kernel's lie.

    Returns:
        The smaller of what the machine has available and what the container may still take.
    """
    return min(
        [
            _machine(proc),
            *(left for names in CGROUPS if (left := _left(cgroup, *names)) is not None),
        ]
    )


def _machine(proc: Path) -> int:
    """Memory that the kernel calls available; where it doesn't say, what is free."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _left(cgroup: Path, limit: str, used: str, stat: str) -> int | None:
    """Limit of a control group less what it uses; None where there is no limit."""
    try:
        most = int((cgroup / limit).read_text())
        now = int((cgroup / used).read_text())
    except (OSError, ValueError):  # "max": no limit
        return None
    try:
        lines = (line.split() for line in (cgroup / stat).read_text().splitlines())
        # Cached files count as used, and go when memory is wanted.
        now -= int(dict(lines).get("inactive_file", "0"))
    except (OSError, ValueError):
        pass
    return max(most - now, 0)


def readable_size(size: float) -> str:
    """Bytes in decimal units: 153600000 is "154 MB"."""
    for unit in ("B", "kB", "MB"):
        if size < 999.5:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
