"""Ranges that arguments are checked against, and the line that refuses one."""

import math

import pytest

from mixssl.utils.errors import ConfigError, require, require_at_least, require_one_of

INSIDE = {
    "> 0": (1e-9, 1, math.inf),
    ">= 2": (2, 3.5),
    "[0, 1]": (0, 0.5, 1),
    "(0, 1)": (1e-9, 0.5),
    "[0, 1)": (0, 0.99),
    "(0, 1]": (1e-9, 1),
}
OUTSIDE = {
    "> 0": (0, -1, math.nan),
    ">= 2": (1.9, math.nan),
    "[0, 1]": (-1e-9, 1.1, math.nan),
    "(0, 1)": (0, 1),
    "[0, 1)": (-1, 1),
    "(0, 1]": (0, 2),
}


class Mixer:
    """What arguments belong to."""


@pytest.mark.parametrize("allowed", INSIDE)
def test_ranges(allowed: str) -> None:
    for value in INSIDE[allowed]:
        require(allowed, Mixer(), lam=value)
    for value in OUTSIDE[allowed]:
        with pytest.raises(ConfigError, match="lam of Mixer is"):
            require(allowed, Mixer(), lam=value)


def test_the_line_names_value_range_and_what_is_usual() -> None:
    with pytest.raises(ConfigError) as error:
        require("> 0", Mixer(), "1.0 is usual", weight=1, alpha=0)
    assert str(error.value) == "alpha of Mixer is 0 and must be > 0; 1.0 is usual"
    with pytest.raises(ConfigError) as error:
        require("[0, 1)", Mixer(), eps=1.0)
    assert str(error.value) == "eps of Mixer is 1.0 and must lie in [0, 1)"
    require(">= 0", Mixer(), partner_view=None)


def test_words_and_minimums() -> None:
    require_one_of(("own", "cross"), Mixer(), pairing="own")
    with pytest.raises(
        ConfigError, match="pairing of Mixer is 'both' and must be one of own, cross"
    ):
        require_one_of(("own", "cross"), Mixer(), pairing="both")
    require_at_least(1, "Hook: ", interval=1, every=None)
    with pytest.raises(ConfigError, match="Hook: interval is 0 and must be at least 1"):
        require_at_least(1, "Hook: ", interval=0)
