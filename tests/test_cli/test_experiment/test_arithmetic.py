"""Means, gains and the table, against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config

from mixssl.cli.experiment import COLUMNS, Figure, Outcome, Row, gain, lines_of, mean_figure
from mixssl.cli.experiment.tables import headings, in_words, markdown, records


def row(name: str, against: str | None = None, epochs: int = 4, mixed: bool = False) -> Row:
    return Row(name, "configs/x.py", "", Config({}), epochs, (), mixed, against)


ROWS = [row("base"), row("base, 6 epochs", epochs=6), row("mix", "base", mixed=True)]
TOP1 = {
    "base": {0: 50.0, 1: 52.0, 2: 57.0},  # mean 53, deviations -3, -1, 4: 26 / 2 = 13
    "base, 6 epochs": {0: 55.0, 1: 54.0},
    "mix": {0: 53.0, 1: 53.0, 2: 59.0},  # gains 3, 1, 2: mean 2, deviation 1
}
OUTCOMES = [
    Outcome(name, seed, Path(), {"knn5": top1})
    for name, by_seed in TOP1.items()
    for seed, top1 in by_seed.items()
] + [Outcome("base, 6 epochs", 2, Path(), failure="it fell over")]


def test_mean_and_sample_deviation() -> None:
    found = mean_figure(TOP1["base"])
    assert found is not None
    assert found.mean == 53.0 and found.std == pytest.approx(13**0.5)
    assert mean_figure({3: 7.0}) == Figure(7.0, None, {3: 7.0})
    assert mean_figure({}) is None


def test_a_gain_is_that_of_pairs() -> None:
    mix, base = mean_figure(TOP1["mix"]), mean_figure(TOP1["base"])
    found = gain(mix, base)
    assert found == Figure(2.0, 1.0, {0: 3.0, 1: 1.0, 2: 2.0})
    assert gain(mix, None) is None and gain(None, base) is None
    assert gain(mix, Figure(1.0, None, {7: 1.0})) is None  # no seed in common


def test_the_table() -> None:
    lines = lines_of(ROWS, OUTCOMES, ["knn5"], {"mix": 1.5}, {"mix": "base, 6 epochs"})
    # Over the longer baseline the seeds 0 and 1 have -2 and -1: mean -1.5, deviation 0.7071.
    assert markdown(lines, ["knn5"]).splitlines() == [
        "|  | epochs | cost | knn5 | knn5 gain | knn5 gain, equal compute |",
        "| :-- | --: | --: | --: | --: | --: |",
        "| base | 4 | – | 53.00 ± 3.61 | – | – |",
        "| base, 6 epochs | 6 | – | 54.50 ± 0.71 | – | – |",
        "| mix | 4 | 1.50 | 55.00 ± 3.46 | +2.00 ± 1.00 | −1.50 ± 0.71 |",
    ]


def test_equal_compute_that_was_not_run_says_so() -> None:
    (*_, mix) = lines_of(ROWS, OUTCOMES, ["knn5"], {}, {})
    assert markdown([mix], ["knn5"]).splitlines()[-1].endswith("| +2.00 ± 1.00 | not run |")


def test_the_file_has_a_record_for_each_figure() -> None:
    lines = lines_of(ROWS, OUTCOMES, ["knn5"], {"mix": 1.5}, {"mix": "base, 6 epochs"})
    notes = {"table": "t", "data": "Digits", "device": "CPU", "torch": "2"}
    found = records(lines, ["knn5"], {"knn5": "5-NN"}, notes, dict.fromkeys(TOP1, "abc"))
    assert all(tuple(record) == COLUMNS for record in found)
    figures = {
        (record["row"], record["column"]): (record["value"], record["std"]) for record in found
    }
    assert figures == {
        ("base", "knn5"): ("53.00", "3.61"),
        ("base, 6 epochs", "knn5"): ("54.50", "0.71"),
        ("mix", "knn5"): ("55.00", "3.46"),
        ("mix", "knn5 gain"): ("2.00", "1.00"),
        ("mix", "knn5 gain, equal compute"): ("-1.50", "0.71"),
        ("mix", "cost"): ("1.50", ""),
    }
    assert {column for _, column in figures} <= set(headings(["knn5"]))
    equal = next(record for record in found if record["column"] == "knn5 gain, equal compute")
    assert (equal["n"], equal["seeds"], equal["unit"]) == (2, "0 1", "points")


@pytest.mark.parametrize(
    ("figure", "sign", "said"),
    [
        (None, False, "–"),
        (Figure(12.346, None, {}), False, "12.35"),
        (Figure(-0.5, 0.25, {}), True, "−0.50 ± 0.25"),
        (Figure(0.5, 0.25, {}), True, "+0.50 ± 0.25"),
    ],
)
def test_in_words(figure: Figure | None, sign: bool, said: str) -> None:
    assert in_words(figure, sign) == said
