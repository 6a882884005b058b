"""What runs have logged is read back as it was, and drawn; so is what a comparison has found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mixssl.utils.errors import ConfigError
from mixssl.visualization import Series, figure_pixels, read_run, runs_figure, scores_figure


def write(folder: Path, stamp: str, rows: list[dict]) -> None:
    path = folder / stamp / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n")


def trained(iteration: int, loss: float) -> dict:
    return {
        "lr": 0.1,
        "data_time": 0.2,
        "loss": loss,
        "epoch": 1,
        "iter": iteration,
        "memory": 9,
        "step": iteration,
    }


def test_a_resumed_run_is_one_and_what_was_done_again_counts(tmp_path: Path) -> None:
    first = [trained(10, 3.0), {"knn_top1": 20.0, "knn_seconds": 1.5, "step": 1}, trained(20, 2.0)]
    write(tmp_path, "20260101_000000", first)
    write(tmp_path, "20260102_000000", [trained(20, 2.5), {"knn_top1": 30.0, "step": 2}])
    assert read_run(tmp_path) == {
        "lr": Series([10, 20], [0.1, 0.1], "iteration"),
        "loss": Series([10, 20], [3.0, 2.5], "iteration"),
        "knn_top1": Series([1, 2], [20.0, 30.0], "epoch"),
    }


def test_a_figure_of_training_and_of_a_test_are_told_apart(tmp_path: Path) -> None:
    rows = [trained(10, 3.0) | {"probe_top1": 9.0}, {"probe_top1": 12.0, "step": 1}]
    write(tmp_path, "a", rows)
    found = read_run(tmp_path)
    assert found["probe_top1"] == Series([1], [12.0], "epoch")
    assert found["probe_top1 (training)"] == Series([10], [9.0], "iteration")


def test_a_panel_for_each_quantity_and_a_line_for_each_run_that_has_it() -> None:
    loss = Series([1, 2], [2.0, 1.0], "iteration")
    runs = {
        "one": {"lr": loss, "loss": loss, "knn_top1": Series([1], [50.0], "epoch")},
        "two": {"loss": Series([1, 2, 3], [3.0, 2.0, 1.5], "iteration")},
    }
    figure = runs_figure(runs)
    panels = [axis for axis in figure.axes if axis.get_title()]
    assert [panel.get_title() for panel in panels] == ["loss", "knn_top1"]
    drawn = [line for line in panels[0].lines if len(line.get_xdata()) > 1]
    assert [list(line.get_ydata()) for line in drawn] == [[2.0, 1.0], [3.0, 2.0, 1.5]]
    assert [panel.get_xlabel() for panel in panels] == ["iteration", "epoch"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["one", "two"]
    assert [axis.get_title() for axis in runs_figure(runs, ["lr"]).axes] == ["lr"]


def test_what_can_not_be_drawn_is_named() -> None:
    with pytest.raises(ValueError, match="no run has logged 'acc'; the runs have loss"):
        runs_figure({"one": {"loss": Series([1], [1.0], "iteration")}}, ["acc"])
    with pytest.raises(ValueError, match="nothing to draw"):
        runs_figure({})


def test_folders_without_figures_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no [*]/vis_data"):
        read_run(tmp_path)
    write(tmp_path, "a", [])
    with pytest.raises(ConfigError, match="hold no figure"):
        read_run(tmp_path)


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


def test_no_scores_to_draw() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        scores_figure({})
