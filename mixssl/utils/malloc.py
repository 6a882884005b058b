"""What a process does with memory that it has freed."""

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's <malloc.h>."""
NEVER = 2**31 - 1
SET_BY_USER = (
    "MALLOC_MMAP_MAX_",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
)


def keep_freed_memory() -> bool:
    """Has glibc keep freed memory for the next tensor instead of handing it back to the kernel.

    A training step on a CPU frees all its activations, and by default glibc hands large blocks back at once. The next
    step asks for them again, and the kernel zeroes each page at its first touch: up to a tenth of a step, and most
    where a mixture doubles the activations. In exchange the process stays as large as it has been at its largest. No
    figure changes.

    Nothing is done where memory is not glibc's (macOS, musl), or where the user has set it by glibc's own environment
    variables. Those are read when a process starts: a launcher could set them, ``python tools/train.py`` could not.

    Returns:
        Whether it was done.
    """
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if tuned or any(name in os.environ for name in SET_BY_USER):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))
