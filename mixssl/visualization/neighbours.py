"""Images beside those whose features are most like theirs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from mixssl.visualization.style import panels


def neighbours_figure(
    lines: Sequence[tuple[np.ndarray, Sequence[tuple[np.ndarray, float]]]], title: str = ""
) -> Figure:
    """Draws a line for each image: itself, then its neighbours with their similarity.

    Args:
        lines: Images, (H, W, C), BGR where there are three channels, in [0, 255]; neighbours nearest first.
        title: Printed on top.

    Raises:
        ValueError: No line, or lines of different lengths.
    """
    columns = {len(others) for _, others in lines}
    if len(columns) != 1:
        raise ValueError(f"lines have {sorted(columns)} neighbours; give each as many")
    width = 1 + columns.pop()
    figure, axes = panels(width * len(lines), width, 11 / width, title)
    for number, (image, others) in enumerate(lines):
        for panel, (shown, said) in zip(
            axes[number * width : (number + 1) * width],
            [(image, ""), *((other, f"{score:.2f}") for other, score in others)],
            strict=True,
        ):
            panel.imshow(viewable(shown))
            panel.set(xticks=[], yticks=[])
            panel.set_title(said, fontsize=9)
    return figure


def viewable(image: np.ndarray) -> np.ndarray:
    """An image of any number of channels as one to look at: three as colours, otherwise the first, or the first three.

    Args:
        image: (H, W, C), in [0, 255], BGR where C is 3.

    Returns:
        (H, W, 3), uint8.
    """
    channels = image.shape[2]
    if channels == 3:
        image = image[..., ::-1]
    elif channels < 3:
        image = np.repeat(image[..., :1], 3, axis=2)
    else:
        image = image[..., :3]
    return np.clip(image, 0, 255).astype(np.uint8)
