"""A study: several configs trained under one budget, judged by the same protocols, put side by side."""

from mixssl.cli.experiment.arithmetic import Figure, Line, gain, lines_of, mean_figure
from mixssl.cli.experiment.lengths import fit_epochs
from mixssl.cli.experiment.report import Report
from mixssl.cli.experiment.rows import Row, Wanted, longer_baselines, make_rows
from mixssl.cli.experiment.runs import Outcome, Runs, measured_cost
from mixssl.cli.experiment.tables import COLUMNS

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
