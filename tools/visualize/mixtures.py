#!/usr/bin/env python
"""Draws what a config's mixer does to its first training batch: python tools/visualize/mixtures.py CONFIG.

A learned mixer's masks are drawn as checkpoints have them, side by side: ... CONFIG --checkpoints epoch_1.pth last.pth
"""

import sys

from mixssl.cli.commands import run

if __name__ == "__main__":
    sys.exit(run("visualize mixtures"))
