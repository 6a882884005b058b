#!/usr/bin/env python
"""Trains a config: python tools/train.py CONFIG [options]; several processes: tools/dist_train.sh CONFIG."""

import sys

try:
    from mixssl.cli.commands import run
except ImportError as error:
    sys.stderr.write(f"train.py: {error}; after make setup run: source .venv/bin/activate\n")
    raise SystemExit(2) from None

if __name__ == "__main__":
    sys.exit(run("train"))
