"""The tool that draws the pictures of the documents."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRAINED = {"mixtures_amix.png"}
"""Pictures that take a training run, made by the command that their page gives."""


def test_it_draws_the_pictures_that_the_pages_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    tool = str(ROOT / "docs/pictures.py")
    monkeypatch.setattr(sys, "argv", [tool, "--out", str(tmp_path)])
    runpy.run_path(tool, run_name="__main__")
    pages = {f"mixtures_{page.stem}.png" for page in (ROOT / "docs/en/mixtures").glob("*.md")}
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == pages - TRAINED
    said = capsys.readouterr().out
    for name in drawn:
        assert str(tmp_path / name) in said
        assert (ROOT / "docs/assets" / name).is_file()
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
