"""Benchmarks in this process, which spares each an interpreter of its own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from mmengine.logging import MMLogger
from support.methods_more import run_length
from support.tools import load_tool


def measured(tool: str, *arguments: object, out: Path | None = None) -> dict[str, Any]:
    """Runs ``main`` of tools/benchmarks/<tool>.py, and takes back what it sets for the process.

    Returns:
        What it writes into ``out``; nothing without.
    """
    logger = MMLogger.get_current_instance()
    level = logger.level
    given = [tool, *map(str, arguments)]
    given[2:2] = ["--json", str(out)] if out else []  # behind the config, before --cfg-options
    with pytest.MonkeyPatch.context() as patch, run_length():
        patch.setattr(sys, "argv", given)
        try:
            load_tool(f"benchmarks/{tool}").main()
        finally:
            logger.setLevel(level)
    return json.loads(out.read_text()) if out else {}
