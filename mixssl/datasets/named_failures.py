"""Images that can't be read, or don't fit into a batch, are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mmcv.transforms import LoadImageFromFile
from torch.utils.data import DataLoader

from mixssl.utils.errors import ConfigError
from mixssl.utils.image_names import image_name, listed

__all__ = ["name_failures", "name_unreadable", "parts_of"]


def name_failures(loader: DataLoader) -> None:
    """Lets a loader name the file where an image can't be read, and the images where they differ in size.

    Decoders say little about a damaged file, and nothing of its name; data workers hand on no more than a text. What
    is asked for here happens where the image is known.

    Args:
        loader: Its collate function and the loading steps of its data sets are wrapped; repeating it is harmless.
    """
    for dataset in parts_of(loader.dataset):
        name_unreadable(getattr(getattr(dataset, "pipeline", None), "transforms", None) or [])
    if not isinstance(loader.collate_fn, _Collating):
        loader.collate_fn = _Collating(loader.collate_fn)


def parts_of(dataset: Any) -> Iterator[Any]:
    """A data set, and those that it wraps, the innermost last."""
    yield dataset
    inner = [getattr(dataset, name, None) for name in ("dataset", "_dataset")]
    for part in [*inner, *(getattr(dataset, "datasets", None) or [])]:
        if part is not None:
            yield from parts_of(part)


def name_unreadable(steps: Sequence[Any]) -> None:
    """Lets the loading steps of a pipeline raise a ConfigError with the name of a file that can't be read."""
    for step in steps:
        if isinstance(step, LoadImageFromFile) and not isinstance(step.transform, _Loading):
            step.transform = _Loading(step.transform)


class _Loading:
    """A step that loads an image, or says which one it can't load."""

    def __init__(self, load: Callable[[dict], dict | None]) -> None:
        self._load = load

    def __call__(self, results: dict) -> dict | None:
        try:
            return self._load(results)
        except Exception as error:  # decoders raise what they like
            said = " ".join(str(error).split())
            name = image_name(results, "an image")
            why = f": {said}" if said and name not in said else ""
            raise ConfigError(
                f"{name} can't be read as an image{why}: mend this file, or leave it out"
            ) from error


class _Collating:
    """A collate function that says which images of a batch differ in size."""

    def __init__(self, collate: Callable[[Any], Any]) -> None:
        self._collate = collate

    def __call__(self, samples: Sequence[Any]) -> Any:
        try:
            return self._collate(samples)
        except RuntimeError as error:
            sizes = _sizes(samples)
            if len(set(sizes.values())) < 2:
                raise
            first = next(iter(sizes.values()))
            others = [f"{name} {size}" for name, size in sizes.items() if size != first]
            raise ConfigError(
                f"images of a batch differ in size: {next(iter(sizes))} {first}, but {listed(others)}: resize and crop "
                "them to one size in the pipeline, for instance by ResizeEdge and CenterCrop"
            ) from error


def _sizes(samples: Sequence[Any]) -> dict[str, str]:
    """Height and width of each image of a batch, or of its views, by its name."""
    found = {}
    for row, sample in enumerate(samples):
        inputs = sample.get("inputs") if isinstance(sample, dict) else None
        views = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        shapes = dict.fromkeys(getattr(view, "shape", None) for view in views)
        name = image_name((sample or {}).get("data_samples"), f"image {row} of the batch")
        found[name] = ", ".join("x".join(map(str, shape[-2:])) for shape in shapes if shape)
    return found
