"""Distributions of weights, layer by layer, of several models over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from mixssl.visualization.style import COLOURS, new_figure

__all__ = ["convolutions", "weight_numbers", "weights_figure"]

BINS = 80
"""At most; layers with few weights have fewer, lest their histograms be noise."""
NEAR_ZERO = 0.1
"""Weights below this share of the first model's spread count as close to zero."""
TAIL = 0.001
"""Share of weights that may lie beyond either side of a panel."""
_COLUMNS = 6


def convolutions(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of convolutions in a state dict, (out, in, H, W) each, in its order."""
    return {
        name.removesuffix(".weight"): value
        for name, value in state.items()
        if name.endswith(".weight") and value.ndim == 4
    }


def weight_numbers(
    layers_by_name: Mapping[str, Mapping[str, Tensor]],
) -> dict[str, dict[str, dict]]:
    """Numbers of each layer's weights: spread, range, excess of the tails, share near zero.

    Args:
        layers_by_name: Name of a model to its layers, as ``convolutions`` gives them.

    Returns:
        Layer to model to ``std``, ``min``, ``max``, ``kurtosis`` (3 for a normal distribution), ``near_zero``: the
        share of weights smaller than a tenth of the first model's std in that layer, in percent.

    Raises:
        ValueError: Models whose layers differ, or no layer.
    """
    _check(layers_by_name)
    first = next(iter(layers_by_name.values()))
    found: dict[str, dict[str, dict]] = {}
    for layer, reference in first.items():
        border = NEAR_ZERO * reference.double().std(unbiased=False).item()
        found[layer] = {}
        for name, layers in layers_by_name.items():
            values = layers[layer].double().flatten()
            std = values.std(unbiased=False)
            centred = values - values.mean()
            found[layer][name] = {
                "std": std.item(),
                "min": values.min().item(),
                "max": values.max().item(),
                "kurtosis": (centred.pow(4).mean() / std.pow(4).clamp(min=1e-300)).item(),
                "near_zero": 100.0 * (values.abs() < border).double().mean().item(),
            }
    return found


def weights_figure(
    layers_by_name: Mapping[str, Mapping[str, Tensor]],
    numbers: Sequence[int] | None = None,
    title: str = "",
) -> Figure:
    """Draws a panel for each layer with the models' histograms over each other, as Figures 12 and 13 of Un-Mix do.

    Args:
        layers_by_name: Name of a model to its layers, as ``convolutions`` gives them.
        numbers: Layers to draw, counted from 1; all by default.
        title: Printed on top.

    Returns:
        A figure with six panels in a line. Heights are densities; a thousandth of the weights is cut off on each side.

    Raises:
        ValueError: Models whose layers differ, no layer, or a number out of range.
    """
    _check(layers_by_name)
    layers = list(next(iter(layers_by_name.values())))
    chosen = list(range(1, len(layers) + 1)) if numbers is None else list(numbers)
    if not chosen or not all(1 <= number <= len(layers) for number in chosen):
        raise ValueError(
            f"layers are {chosen}; there are {len(layers)} convolutions, counted from 1"
        )
    columns = min(_COLUMNS, len(chosen))
    lines = -(-len(chosen) // columns)
    figure = new_figure(0.9 + (1.9 if columns == _COLUMNS else 3.0) * lines, title)
    panels = list(figure.subplots(lines, columns, squeeze=False).flat)
    for panel in panels[len(chosen) :]:
        panel.set_axis_off()
    for panel, number in zip(panels, chosen, strict=False):
        layer = layers[number - 1]
        rows = {
            name: found[layer].float().flatten().numpy() for name, found in layers_by_name.items()
        }
        both = np.concatenate(list(rows.values()))
        low, high = np.quantile(both, [TAIL, 1 - TAIL])
        bins = int(np.clip(np.sqrt(both.size / len(rows)) / 1.5, 10, BINS))
        edges = np.linspace(low, high if high > low else low + 1e-6, bins + 1)
        for colour, (name, values) in zip(COLOURS, rows.items(), strict=False):
            panel.hist(values, edges, density=True, color=colour, alpha=0.3)
            panel.hist(
                values,
                edges,
                density=True,
                color=colour,
                histtype="step",
                linewidth=1.3,
                label=name,
            )
        panel.set_title(f"{number}: {layer}", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.set_yticks([])
        panel.locator_params(axis="x", nbins=4)
    handles, entries = panels[0].get_legend_handles_labels()
    figure.legend(handles, entries, loc="outside lower center", ncols=len(entries), fontsize=12)
    figure.supylabel("density of the weights", fontsize=11)
    return figure


def _check(layers_by_name: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raises unless the models have the same layers in the same shapes."""
    first, *others = layers_by_name.items() if layers_by_name else [("", {})]
    if not first[1]:
        raise ValueError("there is no convolution to draw the weights of")
    if len(layers_by_name) > len(COLOURS):
        raise ValueError(f"{len(layers_by_name)} models; at most {len(COLOURS)} can be told apart")
    shapes = {layer: value.shape for layer, value in first[1].items()}
    for name, layers in others:
        found = {layer: value.shape for layer, value in layers.items()}
        wrong = [layer for layer in {**shapes, **found} if shapes.get(layer) != found.get(layer)]
        if wrong:
            raise ValueError(
                f"{name} and {first[0]} differ in {len(wrong)} convolutions ({wrong[0]} first); compare models of one "
                "backbone"
            )
