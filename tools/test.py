#!/usr/bin/env python
"""Runs a config's test loop on a checkpoint: python tools/test.py CONFIG CHECKPOINT [options]."""

import sys

try:
    from mixssl.cli.commands import run
except ImportError as error:
    sys.stderr.write(f"test.py: {error}; after make setup run: source .venv/bin/activate\n")
    raise SystemExit(2) from None

if __name__ == "__main__":
    sys.exit(run("test"))
