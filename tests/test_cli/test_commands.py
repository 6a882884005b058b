"""The command mixssl: every verb explains itself at once, and starts what the tool of that name starts."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest
from support.tools import ROOT

from mixssl.cli import commands
from mixssl.cli.tool import tools_folder

HELP = """
import sys
from mixssl.cli.commands import COMMANDS, main
for name in ['', *COMMANDS]:
    sys.argv = ['mixssl', *name.split(), '--help']
    try:
        main()
    except SystemExit as end:
        print(name, end.code, 'torch' in sys.modules, file=sys.stderr)
"""


def test_every_verb_explains_itself_without_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines() == [f"{name} 0 False" for name in ["", *commands.COMMANDS]]


def _main(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mixssl", *words])
    return commands.main()


@pytest.mark.parametrize("name", list(commands.COMMANDS))
def test_every_verb_has_a_function(name: str) -> None:
    module, _, function = commands.COMMANDS[name].function.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_what_a_person_can_set_right_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(monkeypatch, "train", "nosuch.py") == 2
    said = capsys.readouterr().err
    assert said.startswith("mixssl train: there is no config file 'nosuch.py'")
    assert said.count("\n") == 1
    with pytest.raises(SystemExit) as end:
        _main(monkeypatch, "trian")
    assert end.value.code == 2 and "invalid choice: 'trian'" in capsys.readouterr().err


def test_the_folder_of_the_tools_is_found() -> None:
    assert (tools_folder() / "train.py").is_file()
