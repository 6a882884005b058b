"""Runs a function on several gloo processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

# Ranks are forked from a process that has imported what takes seconds, instead of importing it each.
multiprocessing.set_forkserver_preload(
    ["mixssl.models", "mixssl.engine.hooks", "mmpretrain.models"]
)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _worker(rank: int, world: int, port: int, folder: str, fn: Callable, args: tuple) -> None:
    os.environ.update(
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
    )
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=world)
    try:
        torch.save(fn(rank, *args), Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


def run_ranks(fn: Callable, *args: Any, world: int = 2) -> list[Any]:
    """Calls ``fn(rank, *args)`` on every rank and returns what each returned, by rank.

    ``fn`` must be importable (a module-level function); results must be tensors or containers of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = (world, _free_port(), folder, fn, args)
        mp.start_processes(_worker, given, nprocs=world, start_method="forkserver")
        return [torch.load(Path(folder) / f"{rank}.pt") for rank in range(world)]
