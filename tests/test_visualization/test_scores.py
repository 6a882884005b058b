"""A dot for each seed and a bar for their mean."""

from __future__ import annotations

import pytest

from mixssl.visualization import figure_pixels, scores_figure


def test_dots_and_bars_lie_where_the_values_do() -> None:
    panels = {
        "k-NN": {"a": {0: 50.0, 1: 60.0}, "b": {}},
        "linear": {"a": {0: 70.0}, "c": {0: 80.0}},
    }
    figure = scores_figure(panels)
    first, second = figure.axes
    dots, bar = first.lines
    assert list(dots.get_xdata()) == [50.0, 60.0] and list(dots.get_ydata()) == [0, 0]
    assert list(bar.get_xdata()) == [55.0, 55.0]
    assert [label.get_text() for label in first.get_yticklabels()] == ["a", "b", "c"]
    assert [text.get_text() for text in second.texts] == ["70.0", "80.0"]
    assert list(second.lines[2].get_ydata()) == [2]
    low, high = first.get_ylim()
    assert low > high, "the first row is on top"
    assert figure_pixels(figure).shape[1] == 1200


def test_nothing_to_draw() -> None:
    with pytest.raises(ValueError, match="holds no value"):
        scores_figure({"k-NN": {"a": {}}})
