"""Means, deviations and gains over seeds, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from mixssl.cli.scores import Score

BASE = Score({0: 50.0, 1: 52.0, 2: 57.0})  # mean 53, deviations -3, -1, 4: 26 / 2 = 13
MIX = Score({0: 53.0, 1: 53.0, 2: 59.0})  # gains 3, 1, 2: mean 2, deviation 1


def test_mean_and_sample_deviation() -> None:
    assert BASE.mean == 53.0 and BASE.std == pytest.approx(13**0.5)
    assert Score({3: 7.0}).mean == 7.0 and Score({3: 7.0}).std is None


def test_a_gain_is_that_of_pairs() -> None:
    gain = MIX.over(BASE)
    assert gain == Score({0: 3.0, 1: 1.0, 2: 2.0}) and (gain.mean, gain.std) == (2.0, 1.0)
    assert MIX.over(Score({1: 50.0, 7: 1.0})) == Score({1: 3.0})
    assert MIX.over(Score({7: 1.0})) is None and MIX.over(None) is None


@pytest.mark.parametrize(
    ("score", "settings", "text"),
    [
        (Score({0: 12.346}), {}, "12.35"),
        (Score({0: 12.346}), {"digits": 1, "sign": True}, "+12.3"),
        (Score({0: -0.75, 1: -0.25}), {"sign": True}, "−0.50 ± 0.35"),
    ],
)
def test_in_print(score: Score, settings: dict, text: str) -> None:
    assert score.text(**settings) == text
