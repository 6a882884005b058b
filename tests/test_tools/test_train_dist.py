"""The launchers, with two processes on the CPU over gloo."""

import os
import signal
import socket
import subprocess
import sys

import pytest
import torch
from support.tools import ROOT, start_tool, write_tiny


def _port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_two_processes_train_and_stop_together(tmp_path):
    """SyncBN and channels_last in the config, SIGTERM to the launcher in the second epoch."""
    options = [
        "--cfg-options",
        "model.backbone.norm_cfg.type=SyncBN",
        "train_dataloader.batch_size=8",
        "model.channels_last=True",
    ]
    process = start_tool(
        "dist_train.sh",
        write_tiny(tmp_path, 9),
        "2",
        "--work-dir",
        tmp_path,
        *options,
        PORT=_port(),
    )
    heard = []
    for line in process.stdout:
        heard.append(line)
        if "Epoch(train) [2][ 4/10]" in line:
            process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    log = "".join(heard)
    assert "Traceback" not in log
    assert "No GPU here: 2 processes on the CPU with gloo in place of nccl." in log
    assert "SyncBN needs GPUs" in log
    assert "Stopped by SIGTERM after iteration" in log, log[-3000:]
    assert "the same launch and --resume" in log
    checkpoint = torch.load(tmp_path / "interrupted.pth", weights_only=False)
    assert checkpoint["meta"]["iter"] % 2 == 0  # the processes ask each other every two iterations
    assert len(checkpoint["exact_resume"]["random_states"]) == 2
    assert checkpoint["exact_resume"]["total_batch"] == 16
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "interrupted.pth")


def test_without_a_number_all_gpus_or_one_process(tmp_path):
    """The launcher stands in for itself and prints what it would run."""
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/bash\nif [ "$1" = -c ]; then exec {sys.executable} "$@"; fi\necho "$@"\n'
    )
    python.chmod(0o755)
    count = max(torch.cuda.device_count(), 1)

    def launched(tool, *arguments, **settings):
        done = subprocess.run(
            [ROOT / "tools" / tool, *arguments],
            env={
                **os.environ,
                "PYTHON": str(python),
                "PORT": "1234",
                "NNODES": "2",
                "NODE_RANK": "1",
                **settings,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    code, said = launched("dist_train.sh", "c.py", "--amp")
    assert code == 0 and f"--nproc_per_node={count} " in said
    assert said.endswith("/tools/train.py c.py --launcher pytorch --amp\n")
    assert "--nnodes=2 --node_rank=1" in said and "--master_port=1234" in said
    code, said = launched("dist_train.sh", "c.py", "2", "--amp", MAX_RESTARTS="3")
    assert "--max_restarts=3 --rdzv_backend=c10d --rdzv_endpoint=127.0.0.1:1234" in said
    assert said.endswith("/tools/train.py c.py --launcher pytorch --resume --amp\n")
    code, said = launched("dist_test.sh", "c.py", "w.pth", "4", "--cfg-options", "a=b c")
    assert code == 0 and "--nproc_per_node=4 " in said
    assert said.endswith("/tools/test.py c.py w.pth --launcher pytorch --cfg-options a=b c\n")
    assert launched("dist_train.sh") == (
        2,
        "# Trains on several devices: tools/dist_train.sh CONFIG [PROCESSES] [options of tools/train.py]\n"
        "# PROCESSES per machine: all visible GPUs where left out, one process where there is none.\n",
    )
    code, said = launched("dist_train.sh", "c.py", "0")
    assert code == 2 and "0 processes asked for; give 1 or more" in said


def test_slurm_gets_a_task_per_gpu(tmp_path):
    srun = tmp_path / "srun"
    srun.write_text('#!/bin/bash\necho "$@"\n')
    srun.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "GPUS": "4",
        "PYTHON": "python",  # make test PYTHON=... hands its own on
        "SRUN_ARGS": "--qos=high --time=1",
    }

    def submitted(tool, *arguments):
        return subprocess.run(
            [ROOT / "tools" / tool, *arguments],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    said = submitted("slurm_train.sh", "gpu", "unmix", "c.py", "w", "--amp")
    assert "--partition=gpu --job-name=unmix --gres=gpu:4 --ntasks=4 --ntasks-per-node=4" in said
    assert "--qos=high --time=1 python -u" in said
    environment["GRES"] = "none"
    assert "--gres=none " in submitted("slurm_train.sh", "cpu", "unmix", "c.py", "w")
    assert said.endswith("/tools/train.py c.py --work-dir w --amp --launcher slurm\n")
    assert submitted("slurm_test.sh", "gpu", "unmix", "c.py", "w.pth").endswith(
        "/tools/test.py c.py w.pth --launcher slurm\n"
    )
