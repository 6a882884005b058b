"""Studies: arms of a plan, searched for, trained and judged in its order, over as many sessions as that takes."""

from mixssl.cli.study.gains import Gain, gain_of, score_of
from mixssl.cli.study.plan import NONE, Arm, Entry, Plan, Run, read_plan
from mixssl.cli.study.records import columns, read_rows
from mixssl.cli.study.work import Study

__all__ = [
    "NONE",
    "Arm",
    "Entry",
    "Gain",
    "Plan",
    "Run",
    "Study",
    "columns",
    "gain_of",
    "read_plan",
    "read_rows",
    "score_of",
]
