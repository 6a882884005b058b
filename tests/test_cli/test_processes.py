"""What processes learn from the environment that a launcher or Slurm gives them."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config

from mixssl.cli.processes import check_launch, launched_processes, requeued
from mixssl.cli.train import choose_checkpoint
from mixssl.utils.errors import ConfigError


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "MASTER_PORT", "OMPI_COMM_WORLD_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("launcher", "way_out"),
    [
        ("pytorch", "nothing has set RANK: start with tools/dist_train.sh"),
        ("slurm", "nothing has set SLURM_PROCID: start with tools/slurm_train.sh"),
        ("mpi", "nothing has set OMPI_COMM_WORLD_RANK: start with mpirun"),
    ],
)
def test_a_launcher_that_started_nothing_is_refused(launcher: str, way_out: str) -> None:
    check_launch("none")
    with pytest.raises(ConfigError, match=way_out):
        check_launch(launcher)


def test_jobs_of_slurm_meet_at_ports_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = set()
    for job, step in (("7", "0"), ("7", "1"), ("8", "0"), ("123456", "0")):
        for name, value in (("PROCID", "0"), ("NTASKS", "4"), ("JOB_ID", job), ("STEP_ID", step)):
            monkeypatch.setenv(f"SLURM_{name}", value)
        monkeypatch.delenv("MASTER_PORT", raising=False)
        check_launch("slurm")
        ports.add(int(os.environ["MASTER_PORT"]))
    assert len(ports) == 4 and all(10_000 <= port < 30_000 for port in ports)
    monkeypatch.setenv("MASTER_PORT", "5")
    check_launch("slurm")
    assert os.environ["MASTER_PORT"] == "5"
    assert (launched_processes("slurm"), launched_processes("none")) == (4, 1)


def test_a_job_that_was_queued_again_is_resumed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:

    def chosen(resume: str | None) -> tuple[bool, str | None]:
        cfg = Config({"work_dir": str(tmp_path)})
        choose_checkpoint(cfg, resume)
        return bool(cfg.get("resume")), cfg.get("load_from")

    start, own = tmp_path / "start.pth", tmp_path / "epoch_2.pth"
    start.touch()
    for count in (None, "0", "1"):
        if count:
            monkeypatch.setenv("SLURM_RESTART_COUNT", count)
        assert requeued() == (count == "1")
        assert chosen(None) == (False, None)  # nothing there yet
        assert chosen(str(start)) == (True, str(start))
    own.touch()
    assert chosen(None) == chosen(str(start)) == (True, str(own))
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    assert chosen(None) == (False, None)
    assert chosen(str(start)) == (True, str(start))
