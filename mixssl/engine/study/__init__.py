"""A study: several configs trained under one budget, judged by the same protocols, put side by side."""

from mixssl.engine.study.arithmetic import Figure, Line, gain, lines_of, mean_figure
from mixssl.engine.study.lengths import fit_epochs
from mixssl.engine.study.report import Report
from mixssl.engine.study.rows import Row, Wanted, longer_baselines, make_rows
from mixssl.engine.study.runs import Outcome, Runs, measured_cost
from mixssl.engine.study.tables import COLUMNS

__all__ = [
    "COLUMNS",
    "Figure",
    "Line",
    "Outcome",
    "Report",
    "Row",
    "Runs",
    "Wanted",
    "fit_epochs",
    "gain",
    "lines_of",
    "longer_baselines",
    "make_rows",
    "mean_figure",
    "measured_cost",
]
