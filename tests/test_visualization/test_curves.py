"""Loss curves: a panel per quantity, a line per run, means per epoch."""

import numpy as np
import pytest

from mixssl.visualization import curves_figure

RUNS = {
    "plain": {"loss_clean": [4.0, 2.0, 1.0, 3.0]},
    "mixed": {"loss_clean": [5.0, 3.0, 2.0, 2.0, 9.0], "loss_mix": [6.0, 6.0, 5.0, 5.0, 1.0]},
}


def test_a_panel_for_each_quantity_with_the_runs_that_have_it() -> None:
    clean, mix = curves_figure(RUNS, 2, {"loss_mix": "on mixtures"}).axes
    assert clean.get_title() == "loss_clean"
    assert mix.get_title() == "on mixtures"
    assert [text.get_text() for text in clean.get_legend().get_texts()] == ["plain", "mixed"]
    assert [text.get_text() for text in mix.get_legend().get_texts()] == ["mixed"]
    assert clean.get_xlabel().startswith("epoch")


def test_points_are_means_of_epochs_at_their_ends_a_rest_included() -> None:
    clean, _ = curves_figure(RUNS, 2).axes
    lines = {line.get_label(): line for line in clean.lines if not line.get_label().startswith("_")}
    np.testing.assert_allclose(lines["plain"].get_xydata(), [[1, 3], [2, 2]])
    np.testing.assert_allclose(lines["mixed"].get_xydata(), [[1, 4], [2, 2], [2.5, 9]])


def test_lines_differ_in_colour_and_in_stroke() -> None:
    clean, _ = curves_figure(RUNS, 2).axes
    lines = [line for line in clean.lines if not line.get_label().startswith("_")]
    assert len({line.get_color() for line in lines}) == 2
    assert len({line.get_linestyle() for line in lines}) == 2


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="no quantity"):
        curves_figure({"plain": {}})
    with pytest.raises(ValueError, match="steps_per_epoch is 0"):
        curves_figure(RUNS, 0)
