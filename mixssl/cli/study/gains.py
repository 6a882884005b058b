"""Gains of a study, seed by seed, from its rows alone."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from scipy.special import stdtrit

from mixssl.cli.scores import Score

LEVEL = 0.95


class Gain(NamedTuple):
    """A mean of differences seed by seed, in points, with its 95 % interval; without ends for one seed."""

    mean: float
    low: float
    high: float
    seeds: int


def score_of(
    rows: Iterable[Mapping[str, Any]],
    method: str,
    mixture: str,
    images: int,
    epochs: int,
    figure: str,
) -> Score | None:
    """A figure of an arm on the test images, by seed; None where there is none."""
    wanted = ("test", method, mixture, images, epochs)
    found = {
        row["seed"]: row[figure]
        for row in rows
        if (row["judged"], row["method"], row["mixture"], row["images"], row["epochs"]) == wanted
        and row[figure] is not None
    }
    return Score(found) if found else None


def gain_of(own: Score | None, base: Score | None) -> Gain | None:
    """The gain of a score over another, with the interval of Student's t over the seeds that both have.

    Returns:
        None if there is no such seed. With one seed the interval is everything.
    """
    gain = None if own is None else own.over(base)
    if gain is None:
        return None
    seeds = len(gain.by_seed)
    if gain.std is None:
        return Gain(gain.mean, -math.inf, math.inf, seeds)
    half = float(stdtrit(seeds - 1, (1 + LEVEL) / 2)) * gain.std / math.sqrt(seeds)
    return Gain(gain.mean, gain.mean - half, gain.mean + half, seeds)
