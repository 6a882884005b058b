#!/usr/bin/env python
"""Trains configs under one budget, judges them alike, and puts them side by side.

python tools/compare.py CONFIG [CONFIG ...] --epochs E [--seeds 0 1 2] [--protocols knn5 linear] [--with-baseline]

The same command goes on where it was stopped. docs/en/user_guides/compare.md has the rest.
"""

import sys

try:
    from mixssl.cli.commands import run
except ImportError as error:
    sys.stderr.write(f"compare.py: {error}; after make setup run: source .venv/bin/activate\n")
    raise SystemExit(2) from None

if __name__ == "__main__":
    sys.exit(run("compare"))
