"""``python -m mixssl`` is the command ``mixssl``."""

import sys

from mixssl.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
