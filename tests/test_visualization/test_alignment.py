"""Distances of views and images, and the plane of both figures."""

from __future__ import annotations

import pytest
import torch

from mixssl.visualization import Distances, alignment_figure


def test_a_panel_for_each_model_and_all_in_one_plane() -> None:
    models = {
        "one": Distances(torch.full((5,), 0.3), torch.full((5,), 1.4), 0.09, -3.0),
        "two": Distances(torch.rand(5), torch.rand(5) + 1, 0.2, -2.0),
    }
    figure = alignment_figure(models, "t")
    assert [axis.get_title() for axis in figure.axes[:3]] == ["one", "two", "all"]
    first, plane = figure.axes[0], figure.axes[2]
    bars = {
        round(bar.get_x() + bar.get_width() / 2, 2): bar.get_height() for bar in first.patches[:60]
    }
    assert [place for place, height in bars.items() if height > 0] == [pytest.approx(0.3, abs=0.04)]
    points = [tuple(item.get_offsets()[0]) for item in plane.collections]
    assert points == [pytest.approx((-3.0, 0.09)), pytest.approx((-2.0, 0.2))]
