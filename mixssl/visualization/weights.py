"""Distributions of weights, layer by layer, of several models over each other."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import Tensor

from mixssl.utils.checkpoints import mismatch
from mixssl.visualization.style import look, panels

BINS = 80
"""At most; layers with few weights have fewer, or their histograms would be noise."""
NEAR_ZERO = 0.1
"""Weights below this share of the first model's spread count as close to zero."""
TAIL = 0.001
"""Share of weights that may lie beyond either side of a panel."""


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
    found: dict[str, dict[str, dict]] = {}
    for layer, reference in _shared_layers(layers_by_name).items():
        border = NEAR_ZERO * reference.double().std(unbiased=False)
        found[layer] = {}
        for name, layers in layers_by_name.items():
            values = layers[layer].double().flatten()
            std = values.std(unbiased=False)
            fourth = (values - values.mean()).pow(4).mean()
            numbers = {
                "std": std,
                "min": values.min(),
                "max": values.max(),
                "kurtosis": fourth / std.pow(4).clamp(min=1e-300),
                "near_zero": 100.0 * (values.abs() < border).double().mean(),
            }
            found[layer][name] = {key: value.item() for key, value in numbers.items()}
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
    layers = list(_shared_layers(layers_by_name))
    chosen = list(range(1, len(layers) + 1)) if numbers is None else list(numbers)
    if not all(1 <= number <= len(layers) for number in chosen):
        raise ValueError(
            f"layers are {chosen}; there are {len(layers)} convolutions, counted from 1"
        )
    figure, axes = panels(len(chosen), 6, 1.9 if len(chosen) > 5 else 3.0, title, margin=0.9)
    for panel, number in zip(axes, chosen, strict=True):
        layer = layers[number - 1]
        values = [found[layer].float().flatten().numpy() for found in layers_by_name.values()]
        together = np.concatenate(values)
        low, high = np.quantile(together, [TAIL, 1 - TAIL])
        bins = int(np.clip(np.sqrt(together.size / len(values)) / 1.5, 10, BINS))
        edges = np.linspace(low, max(high, low + 1e-6), bins + 1).tolist()
        for model, (name, own) in enumerate(zip(layers_by_name, values, strict=True)):
            colour, _ = look(model)
            panel.hist(own, edges, density=True, color=colour, alpha=0.3)
            panel.hist(own, edges, density=True, color=colour, histtype="step", label=name)
        panel.set_title(f"{number}: {layer}", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.set_yticks([])
        panel.locator_params(axis="x", nbins=4)
    handles, entries = axes[0].get_legend_handles_labels()
    figure.legend(handles, entries, loc="outside lower center", ncols=len(entries), fontsize=12)
    figure.supylabel("density of the weights", fontsize=11)
    return figure


def _shared_layers(layers_by_name: Mapping[str, Mapping[str, Tensor]]) -> Mapping[str, Tensor]:
    """The first model's layers; a ValueError where there are none, or others have other ones."""
    first = next(iter(layers_by_name.values()), {})
    if not first:
        raise ValueError("there is no convolution to draw the weights of")
    for name, layers in layers_by_name.items():
        wrong = mismatch(first, layers)
        if wrong:
            raise ValueError(
                f"{name} differs from the first model in its convolutions: {wrong}; compare models of one backbone"
            )
    return first
