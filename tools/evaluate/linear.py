#!/usr/bin/env python
"""Judges a pre-trained model by a linear classifier: python tools/evaluate/linear.py CONFIG CHECKPOINT."""

import sys

from mixssl.cli.commands import run

if __name__ == "__main__":
    sys.exit(run("evaluate linear"))
