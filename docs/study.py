#!/usr/bin/env python
"""Writes what a study has found into its page, and draws it: python docs/study.py [--results CSV].

From docs/en/when_to_mix.csv alone, a copy of the study's results.csv, and the plan: "should I mix?" by mixture, images,
epochs and method, and accuracy against compute. What is not known is said to be not run.
"""

import argparse
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mixssl.cli.study import NONE, Arm, Gain, Plan, gain_of, read_plan, read_rows, score_of
from mixssl.cli.study.plan import equal_epochs
from mixssl.cli.tool import run_tool
from mixssl.visualization import save_figure
from mixssl.visualization.style import COLOURS, panels

ROOT = Path(__file__).resolve().parents[1]
PLAN = Path("configs/studies/when_to_mix.yml")
RESULTS, PAGE = Path("docs/en/when_to_mix.csv"), Path("docs/en/when_to_mix.md")
PICTURE = Path("docs/assets/when_to_mix.png")
BLOCK = re.compile(r"(<!-- written by docs/study.py -->\n).*?(<!-- end -->)", re.S)
NOT_RUN = "not run"
FIGURE = "knn5"
BILLION = 1e9
Rows = Sequence[Mapping[str, Any]]


def gains(
    plan: Plan, rows: Rows, arm: Arm, images: int, epochs: int
) -> tuple[Gain | None, Gain | None]:
    """The gain of an arm over the one without a mixture, at equal compute and after as many epochs."""
    plain = plan.arms[arm.method, NONE]
    own = score_of(rows, arm.method, arm.mixture, images, epochs, FIGURE)
    bases = (
        score_of(rows, arm.method, NONE, images, number, FIGURE)
        for number in (equal_epochs(arm, plain, epochs), epochs)
    )
    compute, same = (gain_of(own, base) for base in bases)
    return compute, same


def verdict(compute: Gain | None, same: Gain | None) -> str:
    """One word, by the rule of the plan."""
    if compute is None:
        return NOT_RUN
    if compute.low > 0:
        return "yes"
    if same is not None and same.low > 0:
        return "longer"
    return "no" if compute.high < 0 else "open"


def cell(compute: Gain | None, same: Gain | None) -> str:
    """The word, the gain at equal compute with its interval, and that after as many epochs."""
    words = [f"**{verdict(compute, same)}**" if compute else NOT_RUN]
    for gain, what in ((compute, ""), (same, "; epochs ")):
        if gain is not None:
            ends = f"{_points(gain.low)} to {_points(gain.high)}" if gain.seeds > 1 else "one seed"
            words.append(f"{what}{_points(gain.mean)} ({ends})")
    seeds = f", {compute.seeds} seeds" if compute and compute.seeds > 1 else ""
    return " ".join(words).replace(" ;", ";") + seeds


def _points(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")


def table(plan: Plan, rows: Rows) -> str:
    """A row for each mixture, number of images and of epochs that the plan asks for, a column for each method."""
    methods = list(dict.fromkeys(method for method, _ in plan.arms))
    places = dict.fromkeys(
        (arm.mixture, entry.images, epochs)
        for entry in plan.work
        for arm in entry.arms[1:]
        for epochs in entry.epochs
    )
    lines = [
        f"| mixture | images | epochs | {' | '.join(methods)} |",
        f"| :-- | --: | --: | {' | '.join(':--' for _ in methods)} |",
    ]
    for mixture, images, epochs in places:
        cells = [
            cell(*gains(plan, rows, plan.arms[method, mixture], images, epochs))
            if (method, mixture) in plan.arms
            else "–"
            for method in methods
        ]
        lines.append(f"| {mixture} | {images:,} | {epochs} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page(plan: Plan, rows: Rows, text: str) -> str:
    """The page's text with what this file writes into it brought up to date."""
    tests = [row for row in rows if row["judged"] == "test" and row["epochs"]]
    commits = " ".join(sorted({str(row["commit"]) for row in tests}))
    machines = ", ".join(sorted({str(row["device"]) for row in tests}))
    said = (
        [f"{len(tests)} figures on the test images, of {machines}, commits {commits}."]
        if tests
        else []
    )
    failed = [
        f"{r['method']}, {r['mixture']}, {r['settings']}: {r['failure']}"
        for r in rows
        if r["failure"]
    ]
    said += [f"Failed: {'; '.join(failed)}."] if failed else []
    picture = [
        f"![Accuracy against compute, a panel for each method and number of images](../assets/{PICTURE.name})"
    ]
    parts = [*said, table(plan, rows), *(picture if tests else [])]
    return BLOCK.sub(lambda found: found[1] + "\n\n".join(parts) + found[2], text)


def draw(plan: Plan, rows: Rows) -> Figure:
    """5-NN against compute; bars are the interval of the gain at equal compute, drawn around the mixture's mean."""
    tests = [row for row in rows if row["judged"] == "test" and row["epochs"]]
    places = list(dict.fromkeys((row["method"], row["images"]) for row in tests))
    mixtures = list(dict.fromkeys(mixture for _, mixture in plan.arms))
    title = (
        "5-NN accuracy in percent against compute; bars: 95 % interval of the gain at equal compute"
    )
    figure, axes = panels(len(places), 3, 4.0, title)
    for axis, (method, images) in zip(axes, places, strict=True):
        for mixture in dict.fromkeys(
            r["mixture"] for r in tests if (r["method"], r["images"]) == (method, images)
        ):
            own = [
                r
                for r in tests
                if (r["method"], r["images"], r["mixture"]) == (method, images, mixture)
            ]
            at = {row["epochs"]: row["compute"] / BILLION for row in own}
            colour, arm = COLOURS[mixtures.index(mixture)], plan.arms[method, mixture]
            means = {e: score_of(rows, method, mixture, images, e, FIGURE) for e in sorted(at)}
            x, y = [at[e] for e in means], [score.mean for score in means.values() if score]
            axis.plot(x, y, "o-", color=colour, label="no mixture" if mixture == NONE else mixture)
            for epochs, score in means.items() if mixture != NONE else ():
                gain, _ = gains(plan, rows, arm, images, epochs)
                if gain is not None and gain.seeds > 1 and score is not None:
                    half = gain.high - gain.mean
                    axis.errorbar(at[epochs], score.mean, half, color=colour, capsize=4)
        axis.set(
            title=f"{method}, {images:,} images",
            xlabel="compute, billions of forward passes of an image",
        )
        axis.legend()
    return figure


def parse_args() -> argparse.Namespace:
    """Where the figures are."""
    parser = argparse.ArgumentParser(description="Write and draw what a study has found.")
    parser.add_argument(
        "--results", type=Path, metavar="CSV", help="copied into the documents first"
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="of the repository")
    return parser.parse_args()


def check(root: Path) -> list[str]:
    """What the page and the file disagree about, a line each."""
    plan = read_plan(root / PLAN)
    text = (root / PAGE).read_text()
    if page(plan, read_rows(root / RESULTS, plan.protocols), text) == text and BLOCK.search(text):
        return []
    return [f"{PAGE} does not say what {RESULTS} says: run python docs/study.py"]


def main() -> None:
    """Copies, writes, draws."""
    args = parse_args()
    plan = read_plan(args.root / PLAN)
    if args.results:
        shutil.copyfile(args.results, args.root / RESULTS)
    rows = read_rows(args.root / RESULTS, plan.protocols)
    text = (args.root / PAGE).read_text()
    (args.root / PAGE).write_text(page(plan, rows, text))
    if any(row["judged"] == "test" and row["epochs"] for row in rows):
        print(save_figure(draw(plan, rows), args.root / PICTURE))


if __name__ == "__main__":
    sys.exit(run_tool(main, "study.py"))
