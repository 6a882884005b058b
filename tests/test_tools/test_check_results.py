"""docs/check_results.py: what the documents say is what the file says."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from support.tools import ROOT, call_tool, load_tool

from mixssl.cli.experiment import COLUMNS

ROWS = [
    {"row": "MoCo", "column": "k-NN", "value": "91.10", "std": "1.30", "epochs": "50"},
    {"row": "Un-Mix", "column": "k-NN", "value": "1297.00", "std": "", "epochs": "50"},
    {"row": "Un-Mix", "column": "gain", "value": "-2.50", "std": "0.40", "epochs": "50"},
]
PAGE = """# Results
<!-- results: demo -->
| backbone | epochs | k-NN | gain | note |
| :-- | --: | --: | --: | :-- |
| `MoCo` | 50 | 91.10 ± 1.30 | – | 3 seeds |
| Un-Mix | 50 | 1,297.00 | −2.50 ± 0.40 | |
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs/en").mkdir(parents=True)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/demo.py").touch()
    with (tmp_path / "docs/en/results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(
            {"table": "demo", "config": "configs/demo.py", **dict.fromkeys(COLUMNS[5:8]), **row}
            for row in ROWS
        )
    (tmp_path / "docs/en/results.md").write_text(PAGE)
    (tmp_path / "README.md").write_text("nothing")
    return tmp_path


def said(root: Path) -> list[str]:
    return load_tool("check_results", "docs").check(root)


def test_the_documents_say_what_the_file_says(capsys: pytest.CaptureFixture[str]) -> None:
    code = call_tool("check_results", folder="docs")
    assert code == 0, capsys.readouterr().err


def test_a_page_that_agrees(root: Path) -> None:
    assert said(root) == []


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("91.10 ±", "91.20 ±", "'MoCo', 'k-NN' says '91.20 ± 1.30', the file '91.10 ± 1.30'"),
        ("± 1.30", "± 1.31", "says '91.10 ± 1.31'"),
        ("91.10 ± 1.30", "91.1 ± 1.3", "says '91.1 ± 1.3'"),
        ("−2.50", "2.50", "'Un-Mix', 'gain' says '2.50 ± 0.40', the file '-2.50 ± 0.40'"),
        ("| 50 | 1,297", "| 60 | 1,297", "'epochs' says '60', the file '50'"),
        ("| – |", "| 0.10 |", "'MoCo', 'gain' says '0.10', the file nothing"),
        ("| Un-Mix | 50 | 1,297.00 | −2.50 ± 0.40 | |\n", "", "in the file and not in the table"),
        ("demo -->", "demos -->", "no row of the file is of the table 'demos'"),
        ("<!-- results: demo -->\n", "", "line 2: figures, and no <!-- results: NAME --> above"),
    ],
)
def test_what_disagrees(root: Path, old: str, new: str, line: str) -> None:
    page = root / "docs/en/results.md"
    assert old in PAGE
    page.write_text(PAGE.replace(old, new))
    found = said(root)
    assert any(line in one for one in found), found
    assert all("results.md" in one or "no page shows" in one for one in found)


def test_a_config_that_is_gone(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "configs/demo.py").unlink()
    assert call_tool("check_results", "--root", root, folder="docs") == 1
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "configs/demo.py, which is gone" in line]


def test_the_readme_is_held_to_it_too(root: Path) -> None:
    (root / "README.md").write_text(PAGE.replace("91.10", "92.10"))
    (line,) = said(root)
    assert line.startswith("README.md, line 3: ")


def test_a_choice_of_rows_beside_a_papers_figures(root: Path) -> None:
    readme = root / "README.md"
    page = """<!-- some results: demo, demo -->
| backbone | k-NN | paper: k-NN |
| :-- | --: | --: |
| MoCo | 91.10 ± 1.30 | 99.9 |
"""
    readme.write_text(page)
    assert said(root) == []
    readme.write_text(page.replace("91.10", "91.20").replace("paper: k-NN", "k-NN of a paper"))
    assert len(said(root)) == 2
    (root / "docs/en/results.md").write_text("nothing")
    readme.write_text(page)
    assert said(root) == ["docs/en/results.csv: no page shows the table 'demo'"]


def test_a_row_that_is_there_twice(root: Path) -> None:
    path = root / "docs/en/results.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[-1] + "\n")
    assert any("is there twice" in line for line in said(root))


def test_other_columns(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "docs/en/results.csv"
    path.write_text(path.read_text().replace("protocol", "method", 1))
    assert call_tool("check_results", "--root", root, folder="docs") == 2
    assert "has other columns than" in capsys.readouterr().err


def test_every_table_of_the_repository_is_marked() -> None:
    tables = list(
        load_tool("check_results", "docs").tables_in((ROOT / "docs/en/results.md").read_text())
    )
    assert {name for table in tables for name in table.names} >= {"demo", "cifar", "cost"}
