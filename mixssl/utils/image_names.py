"""What to call an image where something is wrong with it: its file, or else its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor

__all__ = ["image_name", "listed", "not_finite"]


def image_name(sample: Any, place: str) -> str:
    """The file of a sample, the number by which its data set knows it, or else its place.

    Args:
        sample: A dict of a pipeline, or a data sample.
        place: Of the image, in words.
    """
    read = sample.get if isinstance(sample, Mapping) else lambda key: getattr(sample, key, None)
    path, index = read("img_path"), read("sample_idx")
    if path:
        return str(path)
    return place if index is None else f"image {index} of the data set"


def listed(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def not_finite(batch: Any) -> list[str]:
    """Names of a batch's images with pixels that are NaN or infinite.

    Costs a sum over the pixels of images in floating point, and nothing for bytes.

    Args:
        batch: What a data loader gives: ``inputs``, a tensor (N, C, H, W), or a list of such views or of
            images (C, H, W); ``data_samples``.
    """
    if not isinstance(batch, Mapping):
        return []
    samples = batch.get("data_samples") or []
    rows: set[int] = set()
    for first, images in _stacks(batch.get("inputs")):
        if images.is_floating_point() and not bool(images.sum().isfinite()):
            bad = ~images.isfinite().flatten(1).all(1)
            rows |= {first + row for row in bad.nonzero()[:, 0].tolist()}
    return [
        image_name(samples[row] if row < len(samples) else None, f"row {row} of the batch")
        for row in sorted(rows)
    ]


def _stacks(inputs: Any) -> Iterator[tuple[int, Tensor]]:
    """Images, (N, C, H, W), with the row of the first: whole views, or images that nobody has stacked."""
    for row, part in enumerate([inputs] if isinstance(inputs, Tensor) else inputs or []):
        if isinstance(part, Tensor) and part.ndim == 4:
            yield 0, part
        elif isinstance(part, Tensor) and part.ndim == 3:
            yield row, part[None]
