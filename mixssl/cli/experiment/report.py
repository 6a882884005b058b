"""Everything that an experiment leaves behind: table, CSV, pictures and a page to look at."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from mixssl.cli.experiment.results import COLUMNS, NONE, Result, markdown, records, table
from mixssl.cli.experiment.runs import Run
from mixssl.cli.page import Section, write_page
from mixssl.cli.provenance import circumstances, command
from mixssl.engine.atomic_writes import write_atomically, write_csv
from mixssl.evaluation import PROTOCOLS
from mixssl.utils.errors import ConfigError
from mixssl.visualization import Series, read_run, runs_figure, save_figure, scores_figure

__all__ = ["write_report"]

FILES = {"table": "table.md", "figures": "results.csv", "page": "report.html"}
CURVES = ("loss", "knn_top1", "probe_top1")


def write_report(
    folder: Path,
    title: str,
    results: Sequence[Result],
    runs: Sequence[Run],
    protocols: Sequence[str],
    data: str | None,
    explained: Sequence[str],
) -> dict[str, Path]:
    """Writes all files of an experiment.

    Args:
        folder: For the files.
        title: Of the page, and the name of the table in the CSV file.
        results: Rows of the table.
        runs: All that were reached.
        protocols: By which was judged.
        data: Config with the images to judge with; None for each variant's own.
        explained: How to read the table, in paragraphs.

    Returns:
        What each file is, to its path.
    """
    here, lines = circumstances(), table(results, protocols)
    titles = {name: PROTOCOLS[name].title for name in protocols}
    images = _images_of(results) if data is None else Path(data).stem
    torch = here["torch"].partition("+")[0]
    notes = {"table": title, "data": images, "device": here["device"], "torch": torch}
    commits = {row.variant.name: _commits(runs, row.variant.name) for row in results}
    rows = records(results, titles, notes, commits)
    files = {name: folder / file for name, file in FILES.items()}
    write_atomically(markdown(lines).encode(), files["table"])
    write_csv(rows, COLUMNS, files["figures"])
    facts = {
        "command": command(),
        "commit": f"{_commits(runs) or 'nothing'} (trained), {(here['commit'] or 'unknown')[:7]} (page)",
        "seeds": " ".join(map(str, dict.fromkeys(run.seed for run in runs))),
        "images": images,
        "machine": f"{here['device']}, {here['threads']} threads, {here['system']}",
        "versions": f"mixssl {here['mixssl']}, torch {here['torch']}, Python {here['python']}",
        "written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
    }
    failed = [number for number, run in enumerate(runs) if run.failure]
    sections = [
        Section(
            "Figures",
            table=lines,
            text=explained,
            facts=titles,
            pictures=_draw(results, runs, titles, folder),
        ),
        Section(
            "How each row was run", facts={row.variant.name: _settings(row) for row in results}
        ),
        Section("Runs", table=_table_of(runs, protocols), alerts=failed),
    ]
    alert = f"{len(failed)} of {len(runs)} runs failed: see below." if failed else ""
    write_page(files["page"], title, facts, sections, alert)
    return files


def _images_of(results: Sequence[Result]) -> str:
    """The data sets that are trained on."""
    kinds = [str(row.variant.cfg.train_dataloader.dataset.type) for row in results]
    return ", ".join(dict.fromkeys(kind.rpartition(".")[2] for kind in kinds))


def _commits(runs: Sequence[Run], variant: str | None = None) -> str:
    """Those that trained a variant, or any."""
    found = {run.commit[:7] for run in runs if run.commit and variant in (None, run.variant)}
    return " ".join(sorted(found))


def _settings(row: Result) -> str:
    """What was trained, in words."""
    variant = row.variant
    change = [f"changed: {variant.change}"] if variant.change else []
    against = [f"compared with: {variant.baseline}"] if variant.baseline else []
    return "; ".join([variant.config, *change, *against, *variant.notes])


def _table_of(runs: Sequence[Run], protocols: Sequence[str]) -> list[list[str]]:
    """A line for each run."""
    lines = [["run", "seed", *protocols, "training, s", "commit", "state"]]
    for run in runs:
        top1 = [f"{run.top1[name]:.2f}" if name in run.top1 else NONE for name in protocols]
        state = run.failure or ("finished before" if run.reused else "finished")
        lines.append(
            [run.variant, str(run.seed), *top1, f"{run.seconds:.0f}", run.commit[:7], state]
        )
    return lines


def _draw(
    results: Sequence[Result], runs: Sequence[Run], titles: dict[str, str], folder: Path
) -> dict[str, Path]:
    """Draws what there is to draw; what a picture shows, in words, to its file."""
    found = {}
    # Trained rows first, so that a row has the same colour in both pictures.
    names = [row.variant.name for row in sorted(results, key=lambda row: row.variant.epochs == 0)]
    scores = {row.variant.name: row.scores for row in results}
    panels = {
        title: {
            name: scores[name][protocol].by_seed if protocol in scores[name] else {}
            for name in names
        }
        for protocol, title in titles.items()
    }
    if any(scores.values()):
        words = "Top-1 accuracy: a dot for each seed, a bar for their mean. The axes do not start at zero."
        found[words] = save_figure(scores_figure(panels), folder / "scores.png")
    curves = {name: run for name in names if (run := _mean_curves(name, runs))}
    keys = [key for key in CURVES if any(key in run for run in curves.values())]
    if keys:
        words = "While training, mean over seeds. Losses of different methods can't be compared."
        found[words] = save_figure(runs_figure(curves, keys), folder / "curves.png")
    return found


def _mean_curves(variant: str, runs: Sequence[Run]) -> dict[str, Series]:
    """Mean over those of a variant's runs that have logged anything, at the steps that all of them have."""
    logged = []
    for run in runs:
        if run.variant == variant:
            try:
                logged.append(read_run(run.folder))
            except ConfigError:  # initial weights, or a run that failed before its first line
                continue
    found = {}
    for key in CURVES:
        series = [run[key] for run in logged if key in run]
        values = [dict(zip(one.steps, one.values, strict=True)) for one in series]
        steps = sorted(set.intersection(*map(set, values))) if values else []
        if steps:
            means = [statistics.fmean(one[step] for one in values) for step in steps]
            found[key] = Series(steps, means, series[0].unit)
    return found
