"""A bar on a terminal, a line now and then elsewhere, and nothing unless asked for."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mixssl.utils import progress
from mixssl.utils.progress import progress_shown, tracked


def _console(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=100, legacy_windows=False)


def test_items_are_handed_on_and_nothing_is_said_unless_asked_for() -> None:
    items = [1, 2, 3]
    assert tracked(items, "steps", 3) is items


def test_a_terminal_shows_a_bar() -> None:
    console = _console(terminal=True)
    with progress_shown(console):
        assert list(tracked(range(5), "steps", 5)) == list(range(5))
    assert "steps" in console.file.getvalue() and "100%" in console.file.getvalue()
    assert tracked(range(5), "steps", 5) == range(5)


@pytest.mark.parametrize(("every", "lines"), [(30.0, 0), (-1.0, 5)])
def test_elsewhere_there_is_a_line_now_and_then(
    every: float, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY", every)
    console = _console(terminal=False)
    with progress_shown(console):
        assert list(tracked(range(5), "steps", 5)) == list(range(5))
    said = console.file.getvalue().splitlines()
    assert said == [f"steps: {number} of 5" for number in range(5)][:lines]
