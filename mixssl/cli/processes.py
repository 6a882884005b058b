"""Processes that a launcher or a batch system has started: how they meet, and whether they ran before."""

import os
import subprocess

import torch

from mixssl.utils.errors import ConfigError

RANK = {"pytorch": "RANK", "slurm": "SLURM_PROCID", "mpi": "OMPI_COMM_WORLD_RANK"}
WORLD = {"pytorch": "WORLD_SIZE", "slurm": "SLURM_NTASKS", "mpi": "OMPI_COMM_WORLD_SIZE"}
STARTER = {
    "pytorch": "tools/dist_train.sh or torchrun",
    "slurm": "tools/slurm_train.sh or srun",
    "mpi": "mpirun",
}


def launched_processes(launcher: str) -> int:
    """Number of processes that the launcher has started, from its environment; 1 without one."""
    return int(os.environ.get(WORLD[launcher], "1")) if launcher in WORLD else 1


def requeued() -> bool:
    """Whether Slurm has queued this job before, and has started it again after preempting it or losing its node."""
    return os.environ.get("SLURM_RESTART_COUNT", "0") not in ("", "0")


def check_launch(launcher: str) -> None:
    """Checks that the processes come from where ``--launcher`` says, and gives those of a Slurm job a port of its own.

    mmengine has all jobs meet at port 29500 unless MASTER_PORT is set, where two on one machine find each other.

    Raises:
        ConfigError: They were started by something else.
    """
    if launcher in RANK and RANK[launcher] not in os.environ:
        raise ConfigError(
            f"--launcher is {launcher!r}, and nothing has set {RANK[launcher]}: start with {STARTER[launcher]}, or "
            "leave --launcher out for one process"
        )
    if launcher == "slurm":
        job, step = (int(os.environ.get(name, "0")) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
        os.environ.setdefault("MASTER_PORT", str(10_000 + (8 * job + step) % 20_000))


def join_on_cpus(launcher: str) -> None:
    """Joins this process to the others over gloo; mmengine would bind it to a GPU first.

    Raises:
        ConfigError: MPI started them.
    """
    if launcher == "mpi":
        raise ConfigError(
            "--launcher is 'mpi' and there is no GPU: on CPUs use tools/dist_train.sh or tools/slurm_train.sh"
        )
    if launcher == "slurm":
        os.environ["RANK"] = os.environ["SLURM_PROCID"]
        os.environ["WORLD_SIZE"] = os.environ["SLURM_NTASKS"]
        os.environ["LOCAL_RANK"] = os.environ.get("SLURM_LOCALID", "0")
        if "MASTER_ADDR" not in os.environ:
            os.environ["MASTER_ADDR"] = _first_node(os.environ["SLURM_NODELIST"])
    torch.distributed.init_process_group("gloo")


def _first_node(nodes: str) -> str:
    """Name of the first of ``node[03-05,09]``, Slurm's way to write a list."""
    command = ["scontrol", "show", "hostnames", nodes]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
