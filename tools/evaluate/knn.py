#!/usr/bin/env python
"""Judges a pre-trained model by its nearest neighbours: python tools/evaluate/knn.py CONFIG CHECKPOINT."""

import sys

from mixssl.cli.commands import run

if __name__ == "__main__":
    sys.exit(run("evaluate knn"))
