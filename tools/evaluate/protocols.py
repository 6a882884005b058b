#!/usr/bin/env python
"""Judges a pre-trained model by several protocols at once, with the papers' settings; knn.py and linear.py have others.

Each kind of features is extracted once: python tools/evaluate/protocols.py CONFIG CHECKPOINT --protocols knn5 linear.
"""

import sys

from mixssl.cli.commands import run

if __name__ == "__main__":
    sys.exit(run("evaluate protocols"))
