"""Experiments: configs trained under one budget, judged by the same protocols, put side by side."""

from mixssl.cli.experiment.lengths import fit_epochs, fit_schedules
from mixssl.cli.experiment.report import write_report
from mixssl.cli.experiment.results import COLUMNS, results_of
from mixssl.cli.experiment.runs import Experiment, Run
from mixssl.cli.experiment.variants import Variant, longer_baselines, make_variants

__all__ = [
    "COLUMNS",
    "Experiment",
    "Run",
    "Variant",
    "fit_epochs",
    "fit_schedules",
    "longer_baselines",
    "make_variants",
    "results_of",
    "write_report",
]
