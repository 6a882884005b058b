"""A figure over several seeds: mean, deviation, and gains over another."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """A figure for each of several seeds, at least one.

    Attributes:
        by_seed: Seed to figure.
    """

    by_seed: Mapping[int, float]

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return statistics.fmean(self.by_seed.values())

    @property
    def std(self) -> float | None:
        """Standard deviation of a sample, over n - 1; None for one seed."""
        return statistics.stdev(self.by_seed.values()) if len(self.by_seed) > 1 else None

    def over(self, base: Score | None) -> Score | None:
        """The gain over another score, seed by seed; None if they have no seed in common.

        Seeds move a baseline and what is compared with it together, so that the deviation of the differences is the one
        that says whether there is a gain.
        """
        if base is None:
            return None
        shared = [seed for seed in self.by_seed if seed in base.by_seed]
        return (
            Score({seed: self.by_seed[seed] - base.by_seed[seed] for seed in shared})
            if shared
            else None
        )

    def text(self, digits: int = 2, sign: bool = False) -> str:
        """Mean ± deviation in print, the deviation where there is one; ``sign`` also writes a plus."""
        mean = f"{self.mean:{'+' if sign else ''}.{digits}f}".replace("-", "−")
        return mean if self.std is None else f"{mean} ± {self.std:.{digits}f}"
