"""A comparison as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from mixssl.cli.experiment.arithmetic import Line
from mixssl.cli.experiment.runs import Outcome
from mixssl.cli.experiment.tables import NONE, cells, headings
from mixssl.engine.whole_files import write_whole

__all__ = ["write_page"]

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 1240px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .3rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
div.wide { overflow-x: auto; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap; }
th { border-bottom: 2px solid #888; vertical-align: bottom; white-space: normal; }
td:first-child, th:first-child { text-align: left; }
table.facts th, table.facts td { text-align: left; border: 0; padding: .1rem 1rem .1rem 0; white-space: normal; }
table.facts th { font-weight: 600; vertical-align: top; }
tr.failed td { color: #a40000; } tr:hover td { background: #f5f7fa; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } img { max-width: 100%; border: 1px solid #eee; } figcaption { color: #555; }
p.note { color: #555; max-width: 60rem; } p.failed { color: #a40000; font-weight: 600; }
"""


def write_page(
    path: Path,
    title: str,
    facts: Mapping[str, str],
    lines: Sequence[Line],
    outcomes: Sequence[Outcome],
    titles: Mapping[str, str],
    pictures: Mapping[str, Path],
    explained: Sequence[str],
) -> Path:
    """Writes the page, its pictures in it.

    Args:
        path: The file.
        title: Of the page.
        facts: What is said first: command, commit, machine and the like.
        lines: Of the table.
        outcomes: Of all runs.
        titles: Protocol to its words.
        pictures: What each shows, to its file.
        explained: Paragraphs under the table that say how to read it.

    Returns:
        The file.
    """
    failed = [outcome for outcome in outcomes if outcome.failure]
    parts = [
        f"<h1>{escape(title)}</h1>",
        _facts(facts),
        f'<p class="failed">{len(failed)} of {len(outcomes)} runs failed: see below.</p>'
        if failed
        else "",
        "<h2>Figures</h2>",
        _figures(lines, list(titles)),
        *(f'<p class="note">{escape(paragraph)}</p>' for paragraph in explained),
        _facts(titles),
        *map(_picture, pictures, pictures.values()),
        "<h2>How each row was run</h2>",
        _ways(lines),
        "<h2>Runs</h2>",
        _runs(outcomes, list(titles)),
    ]
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body>\n</html>\n"
    )
    write_whole(page.encode(), path)
    return path


def _facts(facts: Mapping[str, str]) -> str:
    lines = [
        f'<tr><th scope="row">{escape(name)}</th><td><code>{escape(text)}</code></td></tr>'
        for name, text in facts.items()
    ]
    return f'<table class="facts">{"".join(lines)}</table>'


def _table(head: Sequence[str], body: Sequence[Sequence[str]], marked: Sequence[bool] = ()) -> str:
    """A table of texts; marked lines are red."""
    marks = marked or [False] * len(body)
    first = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    rest = [
        f"<tr{' class=' + chr(34) + 'failed' + chr(34) if mark else ''}>"
        + "".join(f"<td>{escape(cell)}</td>" for cell in line)
        + "</tr>"
        for line, mark in zip(body, marks, strict=True)
    ]
    return (
        f'<div class="wide"><table><thead><tr>{first}</tr></thead>'
        f"<tbody>{''.join(rest)}</tbody></table></div>"
    )


def _figures(lines: Sequence[Line], protocols: Sequence[str]) -> str:
    return _table(headings(protocols), [cells(line, protocols) for line in lines])


def _ways(lines: Sequence[Line]) -> str:
    return _facts(
        {
            line.row.name: "; ".join(
                [
                    line.row.config,
                    *([f"changed: {line.row.change}"] if line.row.change else []),
                    *([f"compared with: {line.row.against}"] if line.row.against else []),
                    *line.row.notes,
                ]
            )
            for line in lines
        }
    )


def _runs(outcomes: Sequence[Outcome], protocols: Sequence[str]) -> str:
    head = ["run", "seed", *protocols, "training, s", "commit", "state"]
    body = [
        [
            outcome.row,
            str(outcome.seed),
            *(f"{outcome.top1[name]:.2f}" if name in outcome.top1 else NONE for name in protocols),
            f"{outcome.seconds:.0f}",
            outcome.commit[:7],
            outcome.failure or ("finished before" if outcome.reused else "finished"),
        ]
        for outcome in outcomes
    ]
    return _table(head, body, [bool(outcome.failure) for outcome in outcomes])


def _picture(words: str, path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return (
        f'<figure><img alt="{escape(words)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(words)}</figcaption></figure>"
    )
