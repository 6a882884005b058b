"""docs/study.py: the answer table and the figure of a study, from made-up rows."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.tools import ROOT, call_tool, load_tool

from mixssl.cli.study import Gain, columns, gain_of, read_plan, score_of
from mixssl.cli.study.plan import equal_epochs

TOOL = load_tool("study", "docs")
PLAN = read_plan(ROOT / TOOL.PLAN)


def row(mixture: str, epochs: int, seed: int, knn5: float, **more: Any) -> dict[str, Any]:
    """Of SimCLR on 2,500 images."""
    units = PLAN.arms["SimCLR", mixture].units
    found = dict.fromkeys(columns(PLAN.protocols), "")
    found |= {"judged": "test", "method": "SimCLR", "mixture": mixture, "images": 2500}
    found |= {"seed": seed, "epochs": epochs, "units": units, "compute": units * epochs * 2432}
    return found | {"knn5": knn5, "logistic": knn5 + 5, "device": "a CPU", "commit": "abc"} | more


ROWS = [
    *(
        row("none", epochs, seed, 40 + seed + epochs / 100)
        for epochs in (40, 60, 80)
        for seed in range(3)
    ),
    *(row("Un-Mix", 40, seed, 42 + seed + 0.1 * seed) for seed in range(3)),
    row("i-Mix", 40, 0, 39.0),
    row("Un-Mix", 20, 100, 99.0, judged="held out"),
]


def test_a_gain_is_taken_seed_by_seed_with_students_interval() -> None:
    own, base = (
        score_of(ROWS, "SimCLR", name, 2500, epochs, "knn5")
        for name, epochs in (("Un-Mix", 40), ("none", 60))
    )
    gain = gain_of(own, base)
    # 1.4, 1.5, 1.6: mean 1.5, deviation 0.1, t of two degrees of freedom 4.303.
    assert gain is not None and gain.seeds == 3
    assert (gain.mean, gain.high) == pytest.approx((1.5, 1.5 + 4.303 * 0.1 / 3**0.5), abs=1e-3)
    assert gain_of(own, None) is None


@pytest.mark.parametrize(
    ("compute", "same", "word"),
    [
        ((1, 0.5, 1.5), (2, 1, 3), "yes"),
        ((0.2, -0.5, 0.9), (2, 1, 3), "longer"),
        ((-2, -3, -1), (2, 1, 3), "longer"),
        ((-2, -3, -1), (0, -1, 1), "no"),
        ((0.2, -0.5, 0.9), (1, -1, 3), "open"),
        (None, None, "not run"),
    ],
)
def test_the_answer_follows_the_rule(compute: Any, same: Any, word: str) -> None:
    gains = [None if one is None else Gain(*one, 3) for one in (compute, same)]
    assert TOOL.verdict(*gains) == word
    assert word in TOOL.cell(*gains)


def test_the_table_says_what_is_known_and_what_is_not() -> None:
    lines = TOOL.table(PLAN, ROWS).splitlines()
    assert lines[0] == "| mixture | images | epochs | SimCLR | MoCo | BYOL | W-MSE 2 | VICReg |"
    (line,) = (line for line in lines if line.startswith("| Un-Mix | 2,500 | 40 |"))
    cells = [one.strip() for one in line.strip("|").split("|")]
    assert cells[3] == "**yes** +1.5 (+1.3 to +1.7); epochs +1.7 (+1.5 to +1.9), 3 seeds"
    assert cells[4:] == ["not run"] * 4
    (line,) = (line for line in lines if line.startswith("| i-Mix | 2,500 | 40 |"))
    assert "**open** −1.4 (one seed); epochs −1.4 (one seed) |" in line and line.endswith(
        "| – | – |"
    )
    planned = len(PLAN.work[0].epochs)

    assert sum(one.startswith("| Un-Mix | 2,500") for one in lines) == planned


def test_every_cell_of_the_table_can_be_compared() -> None:
    for entry in PLAN.work:
        for arm in entry.arms[1:]:
            for epochs in entry.epochs:
                assert equal_epochs(arm, entry.arms[0], epochs) in entry.marks(entry.arms[0])


def test_the_page_is_written_drawn_and_held_to_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (TOOL.PLAN, TOOL.PAGE, TOOL.RESULTS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    with (tmp_path / "mine.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns(PLAN.protocols))
        writer.writeheader()
        failed = row("MixCo", 0, 0, 0.0, failure="it ended with code 3")
        empty = dict.fromkeys(("epochs", "compute", *PLAN.protocols), "")
        writer.writerows([*ROWS, failed | empty])
    command = ["--root", tmp_path, "--results", tmp_path / "mine.csv"]
    assert call_tool("study", *command, folder="docs") == 0
    assert str(tmp_path / TOOL.PICTURE) in capsys.readouterr().out
    assert (tmp_path / TOOL.PICTURE).read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / TOOL.PAGE).read_text()
    assert "+1.5 (+1.3 to +1.7)" in text and "commits abc." in text
    assert "Failed: SimCLR, MixCo, : it ended with code 3." in text
    assert TOOL.check(tmp_path) == []
    (tmp_path / TOOL.PAGE).write_text(text.replace("+1.5 (", "+2.5 ("))
    (line,) = TOOL.check(tmp_path)
    assert "does not say what docs/en/when_to_mix.csv says: run python docs/study.py" in line


def test_our_page_says_what_our_file_says() -> None:
    assert TOOL.check(ROOT) == []
