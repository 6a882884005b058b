#!/usr/bin/env python
"""Trains and judges what a study's plan asks for: python tools/study.py PLAN --out DIR [--data-root DIR].

Start it once for each core or GPU: processes share the work. The same command goes on where it was stopped or killed.
DIR/results.csv has all figures so far.
"""

import argparse
import signal
import sys
from pathlib import Path

from mixssl.cli.study import Study, read_plan
from mixssl.cli.tool import run_tool


def parse_args() -> argparse.Namespace:
    """Plan, images, where to write."""
    parser = argparse.ArgumentParser(description="Train and judge by a study's plan.")
    parser.add_argument("plan", type=Path, help="as configs/studies/when_to_mix.yml")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default work_dirs/<plan's name>")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
    parser.add_argument(
        "--row",
        type=int,
        metavar="N",
        help="only do again what row N of the file --results says, the first below its headings being 1",
    )
    parser.add_argument("--results", type=Path, metavar="CSV", help="of --row")
    parser.add_argument("--list", action="store_true", help="say what is to be done now, and end")
    return parser.parse_args()


def main() -> None:
    """Does what is left to be done."""
    args = parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends it as Ctrl-C does
    plan = read_plan(args.plan)
    study = Study(plan, args.out or Path("work_dirs") / args.plan.stem, args.data_root)
    if args.list:
        for run, epochs in study.tasks():
            print(f"{study.folder_of(run)}: to {epochs} epochs")
    elif args.row is not None:
        print(study.again(args.results or study.folder / "results.csv", args.row))
    else:
        study.go_on()
        print(study.write_results())


if __name__ == "__main__":
    sys.exit(run_tool(main, "study.py"))
