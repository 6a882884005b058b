"""Images that can't be read, don't fit into a batch, or hold numbers that are none, are named by their file."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mmcv.transforms import LoadImageFromFile
from torch import Tensor
from torch.utils.data import DataLoader

from mixssl.utils.errors import ConfigError


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
