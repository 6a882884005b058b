"""Several processes of a run, started as people start them: agents of torchrun, and a Slurm of the test's own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

SLURM = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scontrol")
SLURM_CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,batch_sched_delay=1
NodeName={host} NodeAddr=127.0.0.1 CPUs=2
PartitionName=low Nodes=ALL Default=YES State=UP PriorityTier=1
PartitionName=high Nodes=ALL State=UP PriorityTier=2 PreemptMode=OFF
"""
"""One controller and one node; a job in ``high`` puts one in ``low`` back into the queue. A preempted job may start
again as soon as its credentials have expired, which takes two minutes by default."""


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def weights_of(path: Path) -> dict[str, Tensor]:
    """The model in a checkpoint."""
    return torch.load(path, weights_only=False)["state_dict"]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two models are the same, bit by bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def worker(agent: int, rank: int) -> int:
    """Process id of a worker that an agent of torchrun has started."""
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            started_by = f"\nPPid:\t{agent}\n" in status.read_text()
            settings = (status.parent / "environ").read_bytes().split(b"\0") if started_by else []
        except OSError:  # it has ended meanwhile
            continue
        if b"RANK=%d" % rank in settings:
            return int(status.parent.name)
    raise AssertionError(f"agent {agent} has no worker {rank}")


def listen(process: subprocess.Popen[str]) -> list[str]:
    """Collects a process's lines while it runs, so that it never waits for a reader."""
    heard: list[str] = []
    assert process.stdout is not None
    threading.Thread(target=heard.extend, args=(process.stdout,), daemon=True).start()
    return heard


def wait_for(done: Callable[[], object], seconds: float, what: str) -> None:
    """Waits until something is true."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"{what} took more than {seconds} s"
        time.sleep(0.2)


def missing_for_slurm() -> str | None:
    """Says why no Slurm can be started here, if none can."""
    absent = [name for name in SLURM if shutil.which(name) is None]
    if absent:
        return f"needs a Slurm of its own, {', '.join(absent)} missing: apt-get install slurm-wlm munge"
    return "starts a Slurm of its own, which takes root" if os.getuid() else None


@contextmanager
def slurm() -> Iterator[dict[str, str]]:
    """A Slurm of one node with two CPUs, in a folder of its own.

    Yields:
        The environment by which its commands find it.
    """
    folder = Path(
        tempfile.mkdtemp(prefix="slurm")
    )  # short: the socket's path may have 107 characters
    folder.chmod(0o755)
    munge = folder / "munge"
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir()
    (munge / "key").write_bytes(os.urandom(1024))
    (munge / "key").chmod(0o400)
    for path in (munge, munge / "key"):
        shutil.chown(path, "munge")
    conf = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    conf.write_text(SLURM_CONF.format(host=host, folder=folder, ports=(free_port(), free_port())))
    settings = {
        "SLURM_CONF": str(conf),
        "PYTHON": sys.executable,
        "GRES": "none",
        "GPUS": "2",
        "CPUS_PER_TASK": "1",
    }
    files = {name: f"--{name}-file={munge}/{name}" for name in ("key", "pid", "log", "seed")}
    daemons = (
        ["munged", "--force", f"--socket={munge}/socket", *files.values()],
        ["slurmctld"],
        ["slurmd"],
    )
    pids = [munge / "pid", folder / "slurmctld.pid", folder / "slurmd.pid"]
    try:
        for command in daemons:
            user = "munge" if command[0] == "munged" else None
            subprocess.run(command, env=os.environ | settings, user=user, check=True)
        wait_for(lambda: "idle" in _output(settings, "sinfo", "-h", "-o%T"), 60, "Slurm's start")
        yield settings
        # Daemons that end before their jobs leave these behind.
        _output(settings, "scancel", "--user=root")
        wait_for(lambda: not _output(settings, "squeue", "-h"), 60, "the end of the jobs")
    finally:
        for path in reversed(pids):
            _end(path)
        shutil.rmtree(folder, ignore_errors=True)


def _output(settings: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True)
    return done.stdout


def _end(path: Path) -> None:
    """Ends the daemon whose process id a file holds, and waits for its end."""
    if not path.exists():
        return
    pid = int(path.read_text())
    os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.2)
    os.kill(pid, signal.SIGKILL)
