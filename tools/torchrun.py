#!/usr/bin/env python
"""torch.distributed.run that leaves the last word to the processes it starts; dist_train.sh and dist_test.sh call it.

torch's own prints fifty lines after the one that says why a run has ended, and ends with the exit code 1 whatever
theirs was.
"""

import logging
import signal
import sys

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

KILLED = "process {rank} was killed by {name}: the machine may have run out of memory; its log ends where that happened"


def main() -> int:
    """Launches, waits, and says what nobody else can.

    Returns:
        Exit code: that of the first process to fail, 128 + n after a signal n, 2 for a port in use.
    """
    logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    try:
        run.main()
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode >= 0:
            return failure.exitcode
        name = signal.Signals(-failure.exitcode).name
        sys.stderr.write(f"torchrun.py: {KILLED.format(rank=rank, name=name)}\n")
        return 128 - failure.exitcode
    except SignalException as error:
        return 128 + error.sigval
    except RuntimeError as error:
        if "EADDRINUSE" not in str(error):
            raise
        port = next((word.partition("=")[2] for word in sys.argv if "master_port" in word), "?")
        sys.stderr.write(
            f"torchrun.py: the port {port} by which the processes find each other is in use: name a free one, for "
            "instance PORT=29501 tools/dist_train.sh ...\n"
        )
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
