"""Several machines, which here are several agents, or a Slurm, on one: they train what two plain processes do."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.launched import (
    free_port,
    listen,
    missing_for_slurm,
    same,
    slurm,
    wait_for,
    weights_of,
    worker,
)
from support.tools import ROOT, start_tool, write_tiny

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU"),
]
EPOCHS = 3
HALF = ("--cfg-options", "train_dataloader.batch_size=8")
"""Of the batch of one process, so that two have the whole."""


def _agents(config: Path, folder: Path, nodes: int, **settings: str) -> list[subprocess.Popen]:
    """Starts an agent for each machine, with as many processes each as make two in all."""
    settings |= {"NNODES": str(nodes), "PORT": str(free_port())}
    return [
        start_tool(
            "dist_train.sh",
            config,
            2 // nodes,
            "--work-dir",
            folder,
            *HALF,
            NODE_RANK=str(rank),
            **settings,
        )
        for rank in range(nodes)
    ]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("config"), EPOCHS)


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """What two processes of one agent have trained, without a break."""
    folder = tmp_path_factory.mktemp("whole")
    (agent,) = _agents(config, folder, nodes=1)
    said, _ = agent.communicate(timeout=600)
    assert agent.returncode == 0, said[-3000:]
    return weights_of(folder / f"epoch_{EPOCHS}.pth")


def test_two_agents_train_what_one_does(
    config: Path, whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    agents = _agents(config, tmp_path, nodes=2)
    said = [agent.communicate(timeout=600)[0] for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], said[0][-3000:] + said[1][-3000:]
    assert "No GPU here: 2 processes on the CPU" in said[0]
    assert same(weights_of(tmp_path / f"epoch_{EPOCHS}.pth"), whole)


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_killed_worker_is_started_again_and_goes_on(
    config: Path, whole: dict[str, torch.Tensor], tmp_path: Path, nodes: int
) -> None:
    agents = _agents(config, tmp_path, nodes, MAX_RESTARTS="1")
    heard = [listen(agent) for agent in agents]

    def said() -> str:
        return "".join(line for lines in heard for line in lines)

    wait_for(lambda: "Epoch(train) [2][ 4/10]" in said(), 300, "the first steps")
    os.kill(worker(agents[-1].pid, rank=1), signal.SIGKILL)
    assert [agent.wait(600) for agent in agents] == [0] * nodes, said()[-5000:]
    assert said().count("--resume looked into") == 2
    assert f"continuing from {tmp_path}/epoch_1.pth." in said()
    assert same(weights_of(tmp_path / f"epoch_{EPOCHS}.pth"), whole)


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    missing = missing_for_slurm()
    if missing:
        pytest.skip(missing)
    with slurm() as settings:
        yield settings


def test_slurm_trains_what_torchrun_does(
    cluster: dict[str, str], config: Path, whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    tool = start_tool("slurm_train.sh", "low", "tiny", config, tmp_path, *HALF, **cluster)
    said, _ = tool.communicate(timeout=600)
    assert tool.returncode == 0, said[-3000:]
    assert "No GPU here: 2 processes on the CPU" in said
    assert same(weights_of(tmp_path / f"epoch_{EPOCHS}.pth"), whole)


def test_a_preempted_job_is_queued_again_and_goes_on(
    cluster: dict[str, str], config: Path, whole: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    script, log, out = tmp_path / "job.sh", tmp_path / "job.log", tmp_path / "out"
    script.write_text(
        "#!/bin/bash\n"
        f"#SBATCH --partition=low --ntasks=2 --requeue --open-mode=append --output={log}\n"
        f"bash {ROOT}/tools/slurm_train.sh low tiny {config} {out} {' '.join(HALF)}\n"
        "echo ended with $?\n"
    )

    def submit(*arguments: object) -> None:
        command = ["sbatch", *map(str, arguments)]
        subprocess.run(command, env=os.environ | cluster, check=True, capture_output=True)

    def heard(words: str) -> bool:
        return log.exists() and words in log.read_text()

    submit(script)
    wait_for(lambda: heard("Epoch(train) [2][ 4/10]"), 300, "the first steps")
    submit("--partition=high", "--ntasks=2", f"--output={tmp_path}/urgent.log", "--wrap", "sleep 1")
    wait_for(lambda: heard("DUE TO PREEMPTION"), 60, "the preemption")
    wait_for(lambda: heard("Slurm has queued this job before"), 120, "the second start")
    wait_for(lambda: heard("ended with 0"), 300, "the rest")
    said = log.read_text()
    assert "Stopped by SIGTERM after iteration" in said
    assert f"continuing from {out}/interrupted.pth" in said
    assert same(weights_of(out / f"epoch_{EPOCHS}.pth"), whole)
