import os
import signal
import subprocess
import sys
import textwrap

import pytest
from support.tools import ROOT

SCRIPT = """
import os, signal, sys
import torch
from torch.utils.data import DataLoader
from mixssl.engine.data_workers import leave_signals_to_main

def start(worker):
    os.write(1, f"started {worker}\\n".encode())  # whole: two workers' print would interleave

if __name__ == "__main__":
    loader = DataLoader(
        torch.arange(8), batch_size=2, num_workers=2, persistent_workers=True, worker_init_fn=start,
        multiprocessing_context=sys.argv[1])
    leave_signals_to_main(loader)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: print("main heard", flush=True))
    for epoch in range(2):
        total = sum(int(batch.sum()) for batch in loader)
        if epoch == 0:
            os.killpg(os.getpid(), signal.SIGINT)
            os.killpg(os.getpid(), signal.SIGTERM)
    print("sum", total, flush=True)
    # The workers are still there: leaving must not wait for them for ever.
"""


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
def test_workers_outlive_signals_to_the_group_but_not_their_main_process(tmp_path, start_method):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(script), start_method],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        said, _ = process.communicate(timeout=100)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        said, _ = process.communicate()
        pytest.fail(f"the process waits for its workers; it said {said!r}")
    assert process.returncode == 0, said
    assert "sum 28" in said and said.count("main heard") == 2
    assert "started 0" in said and "started 1" in said
