"""How every tool runs and ends: an exit code, and one line where a person can set something right."""

import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mixssl.utils.errors import NonFiniteLossError


def tools_folder() -> Path:
    """The folder ``tools`` of the checkout, or its copy in an installed package."""
    package = Path(__file__).resolve().parents[1]
    installed = package / ".mim" / "tools"
    return (installed if installed.is_dir() else package.parent / "tools").resolve()


def run_tool(main: Callable[[], Any], name: str) -> int:
    """Runs a tool; what a person can set right becomes one line, and with ``--traceback`` also where it was found.

    Returns:
        Exit code: 0, 2 for what a person can set right, 3 for a loss that is not finite, 130 for Ctrl-C before
        training.

    Raises:
        Exception: A fault of the program, as it was.
    """
    whole = "--traceback" in sys.argv
    sys.argv = [word for word in sys.argv if word != "--traceback"]
    logging.raiseExceptions = False  # a full disk would print a traceback for every line of the log
    try:
        main()
    except NonFiniteLossError as error:
        return _say(f"{name}: stopped: {error}", code=3)
    except KeyboardInterrupt:
        return _say(f"{name}: interrupted before there was anything to save", code=130)
    except Exception as error:
        from mixssl.cli.one_line import explain  # heavy, and seldom needed

        line = explain(error)
        if line is None:
            raise
        if whole:
            traceback.print_exc()
        return _say(f"{name}: {line}", code=2)
    return 0


def _say(line: str, code: int) -> int:
    """Prints a line once, however many processes there are."""
    rank = int(
        os.environ.get(
            "RANK", os.environ.get("SLURM_PROCID", os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
        )
    )
    if rank:
        # The first process to leave makes the launcher end the others: let it be process 0, if that knows it too.
        time.sleep(10)
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
    return code
