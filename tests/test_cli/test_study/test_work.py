"""The work of a study: its order, its searches, several processes, runs that fail; and a study of digits for real."""

import fcntl
import json
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from support.study import PLAN, write_plan
from support.tools import call_tool

from mixssl.cli.study import Plan, Study, read_plan, read_rows, work
from mixssl.cli.study.child import Commands

FIGURES = {"training": 1.0, "device": "a machine", "torch": "2.11.0+cpu", "commit": "0123456789"}
LINE = PLAN["work"][0]


class Trainings:
    """Stands in for the processes that train and judge: notes what was asked for, and makes figures up."""

    def __init__(self) -> None:
        self.done: list[tuple[str, int]] = []
        self.failing: set[str] = set()
        self.gain = 1.0

    def __call__(self, commands: Commands, folder: Path) -> tuple[int, dict[str, Any]]:
        name = folder.parent.name.rpartition("-")[0] + "/" + folder.name
        epochs = int(commands.checkpoint.stem.removeprefix("epoch_"))
        self.done.append((name, epochs))
        assert f"train_cfg.max_epochs={epochs}" in commands.train
        if any(part in name for part in self.failing):
            (folder / "log.txt").write_text("it went wrong\n")
            return 3, {}
        top1 = 50 + epochs + int(folder.name[-1]) / 10
        top1 += (self.gain if "Un-Mix" in name else 0) + (2 if "lr=0.1" in name else 0)
        return 0, FIGURES | {"top1": {"knn5": top1, "logistic": top1 + 10}}


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    stand_in = Trainings()
    monkeypatch.setattr(work, "in_child", stand_in)
    monkeypatch.setattr(work, "WAIT", 0.0)
    monkeypatch.setattr(Plan, "config", lambda *_: Config({}))  # reading one takes half a second
    return stand_in


def study(tmp_path: Path, **changes: Any) -> Study:
    return Study(read_plan(write_plan(tmp_path, **changes)), tmp_path / "out")


SEARCHES = [
    *(("MoCo_none_40_lr=0.01/seed_9", 1), ("MoCo_none_40_lr=0.1/seed_9", 1)),
    ("MoCo_none_40_lr=0.1/seed_9", 2),
    *(("MoCo_Un-Mix_40_lr=0.01/seed_9", 1), ("MoCo_Un-Mix_40_lr=0.1/seed_9", 1)),
    ("MoCo_Un-Mix_40_lr=0.1/seed_9", 2),
]


def test_searches_come_first_and_then_runs_by_their_compute(
    tmp_path: Path, trainings: Trainings
) -> None:
    one = study(tmp_path, work=[LINE | {"seeds": [0, 1], "epochs": [1, 2]}])
    one.go_on()
    assert sorted(trainings.done[:6]) == sorted(SEARCHES)
    assert [place for place in trainings.done if place[0] == "MoCo_none_40_lr=0.01/seed_9"] == [
        ("MoCo_none_40_lr=0.01/seed_9", 1)
    ], "the worse half is left out"
    assert trainings.done[6:] == [
        *((f"MoCo_none_40/seed_{seed}", 1) for seed in (0, 1)),
        *(
            (f"MoCo_{arm}_40/seed_{seed}", n)
            for seed in (0, 1)
            for arm, n in (("none", 2), ("Un-Mix", 1))
        ),
        *(
            (f"MoCo_{arm}_40/seed_{seed}", n)
            for seed in (0, 1)
            for arm, n in (("none", 4), ("Un-Mix", 2))
        ),
    ]
    count = len(trainings.done)
    study(tmp_path, work=[LINE | {"seeds": [0, 1], "epochs": [1, 2]}]).go_on()
    assert len(trainings.done) == count, "what is there is not done again"
    study(tmp_path, work=[LINE | {"seeds": [0, 1], "epochs": [1, 2, 3]}]).go_on()
    assert trainings.done[count:] == [
        ("MoCo_none_40/seed_0", 3),
        ("MoCo_none_40/seed_1", 3),
        *(
            (f"MoCo_{arm}_40/seed_{seed}", n)
            for seed in (0, 1)
            for arm, n in (("none", 6), ("Un-Mix", 3))
        ),
    ], "a run is made longer"


def test_the_file_has_a_row_for_each_figure(tmp_path: Path, trainings: Trainings) -> None:
    one = study(tmp_path)
    one.go_on()
    rows = read_rows(tmp_path / "out/results.csv", one.plan.protocols)
    assert len(rows) == len(trainings.done) == 9
    (mixed,) = (row for row in rows if row["judged"] == "test" and row["mixture"] == "Un-Mix")
    assert mixed["settings"] == "optim_wrapper.optimizer.lr=0.1"
    # Two whole batches of 16 an epoch, 8 units an image.
    assert (mixed["epochs"], mixed["compute"], mixed["knn5"]) == (1, 8 * 32, 52.0)
    assert (mixed["device"], mixed["torch"], mixed["commit"]) == ("a machine", "2.11.0", "0123456")
    equal = next(
        r for r in rows if r["judged"] == "test" and r["compute"] == 256 and r is not mixed
    )
    assert (equal["mixture"], equal["epochs"]) == ("none", 2)


def test_what_another_process_is_at_is_left_to_it(tmp_path: Path, trainings: Trainings) -> None:
    one = study(tmp_path)
    (first, epochs), (second, _), *_ = one.tasks()
    folder = one.folder_of(first)
    folder.mkdir(parents=True)
    with (folder / ".claim").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not one.attempt(first, epochs)
        assert one.attempt(second, epochs) and len(trainings.done) == 1
    assert one.attempt(first, epochs) and len(trainings.done) == 2
    assert one.attempt(first, epochs) and len(trainings.done) == 2, "it is done by now"


def test_a_run_that_fails_twice_is_named_and_left(tmp_path: Path, trainings: Trainings) -> None:
    trainings.failing = {"Un-Mix_40_lr=0.1"}
    one = study(tmp_path)
    one.go_on()
    failed = [place for place in trainings.done if place[0] == "MoCo_Un-Mix_40_lr=0.1/seed_9"]
    assert failed == [("MoCo_Un-Mix_40_lr=0.1/seed_9", 1)] * 2
    assert one.chosen(one.plan.arms["MoCo", "Un-Mix"]) == {"optim_wrapper.optimizer.lr": 0.01}
    rows = read_rows(tmp_path / "out/results.csv", one.plan.protocols)
    (row,) = (row for row in rows if row["failure"])
    assert row["failure"] == "it ended with code 3: it went wrong" and row["knn5"] is None


def test_an_arm_of_which_every_point_fails_is_not_trained(
    tmp_path: Path, trainings: Trainings
) -> None:
    trainings.failing = {"Un-Mix"}
    one = study(tmp_path)
    one.go_on()
    assert one.chosen(one.plan.arms["MoCo", "Un-Mix"]) is None
    assert ("MoCo_none_40/seed_0", 2) in trainings.done
    assert not [name for name, _ in trainings.done if name.startswith("MoCo_Un-Mix_40/")]


@pytest.mark.parametrize(("gain", "more"), [(1.0, True), (30.0, False)])
def test_more_seeds_only_where_it_is_close(
    tmp_path: Path, trainings: Trainings, gain: float, more: bool
) -> None:
    trainings.gain = (
        gain  # the baseline of equal compute is an epoch further, and so a point better
    )
    lines = [LINE | {"seeds": [0, 1, 2]}, LINE | {"seeds": [3, 4], "if": "close"}]
    study(tmp_path, work=lines).go_on()
    assert (("MoCo_Un-Mix_40/seed_4", 1) in trainings.done) is more


def test_a_row_is_done_again_from_the_file_alone(
    tmp_path: Path, trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    study(tmp_path).go_on()
    rows = read_rows(tmp_path / "out/results.csv", PLAN["protocols"])
    number = 1 + next(n for n, row in enumerate(rows) if row["judged"] == "test")
    results = tmp_path / "out/results.csv"
    count = len(trainings.done)
    command = [tmp_path / "plan.yml", "--out", tmp_path / "again", "--results", results]
    assert call_tool("study", *command, "--row", number) == 0
    assert trainings.done[count:] == [("MoCo_none_40/seed_0", rows[number - 1]["epochs"])]
    assert "'knn5': 51.0" in capsys.readouterr().out
    assert call_tool("study", *command, "--row", 99) == 2
    assert "has 9 rows, and 99 is none" in capsys.readouterr().err


def test_what_is_next_is_listed(
    tmp_path: Path, trainings: Trainings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call_tool("study", write_plan(tmp_path), "--out", tmp_path / "out", "--list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all("seed_9: to 1 epochs" in line for line in lines)
    assert not trainings.done and not (tmp_path / "out").exists()


def test_a_run_of_digits_and_the_same_made_longer(tmp_path: Path) -> None:
    one = study(tmp_path)
    (run, epochs), *_ = one.tasks()
    assert one.attempt(run, epochs)
    folder = one.folder_of(run)
    assert (folder / "epoch_1.pth").is_file()
    assert one.attempt(run, 2)
    record = json.loads((folder / "run.json").read_text())
    assert sorted(record["judged"]) == ["1", "2"] and not record["failures"]
    assert set(record["judged"]["2"]) >= {"knn5", "logistic", "seconds", "commit"}
    log = (folder / "log.txt").read_text()
    assert "continuing from" in log and "epoch_1.pth" in log
