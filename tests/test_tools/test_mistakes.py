"""Mistakes that people make, and the one line that each gets: what it is, what is allowed, and the way out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.tools import call_tool, write_tiny

WITH_OPTIONS = {
    "a mixer inside the model": (
        ["model.data_preprocessor.mixer.type=mixssl.UnMix"],
        r"model.data_preprocessor is set, and .*mean, .*std.* would not be read: .*data_preprocessor.mixer=",
    ),
    "no mixer inside the model": (
        ["model.data_preprocessor.mixer=None"],
        r"model.data_preprocessor is set, and .*mean, .*std.* would not be read: ",
    ),
    "a batch of one image": (
        ["train_dataloader.batch_size=1"],
        r"batch_size is 1, and a mixture needs .* raise it, or set data_preprocessor.mixer=None",
    ),
}
"""What is given as --cfg-options, and the line that it gets."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("config"), epochs=1)


def said(capfd: pytest.CaptureFixture[str], name: str = "train.py") -> str:
    """The one line of a tool that has refused, without a traceback before it."""
    text = capfd.readouterr().err
    assert "Traceback" not in text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name}: ")]
    return line


@pytest.mark.parametrize(("options", "line"), WITH_OPTIONS.values(), ids=WITH_OPTIONS)
def test_an_option_that_can_not_work_gets_one_line(
    tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], options: list[str], line: str
) -> None:
    assert call_tool("train", tiny, "--work-dir", tmp_path, "--cfg-options", *options) == 2
    assert re.search(line, said(capfd))
    assert not list(tmp_path.glob("*.pth"))
