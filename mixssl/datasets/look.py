"""Looking at images before anything is chosen: how many, how large, of what kind, and which can't be read."""

import csv
import hashlib
import io
import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mixssl.datasets.any_images import in_units
from mixssl.datasets.sources import Source, decode
from mixssl.utils.errors import ConfigError

SAMPLE = 1000
"""Images from which mean and spread are computed."""
CHUNK = 64
"""Images that a process looks at before it hands over what it has seen."""


@dataclass
class Look:
    """What was seen.

    Attributes:
        images: Number of images that can be read.
        shorter: Least, median and largest shorter side, in pixels.
        longer: The same of the longer side.
        one_size: Height and width, where all images share them.
        channels: How many images have how many channels.
        dtypes: How many have which dtype.
        kinds: How many are palettes, had alpha, and the like.
        suggested_channels: That most images fit into.
        value_range: What becomes 0 and 255; None for 8 bits.
        mean: Per channel, in the unit of 0 to 255, RGB, from a sample of :data:`SAMPLE`.
        std: Likewise, over all pixels of the sample.
        classes: Names of the classes, where images have labels.
        digest: Of the names, by which the same images are known again.
        unreadable: Name and reason of each image that is left out.
    """

    images: int
    shorter: tuple[int, int, int]
    longer: tuple[int, int, int]
    one_size: tuple[int, int] | None
    channels: dict[int, int]
    dtypes: dict[str, int]
    kinds: dict[str, int]
    suggested_channels: int
    value_range: tuple[float, float] | None
    mean: list[float]
    std: list[float]
    classes: list[str] | None = None
    digest: str = ""
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, without the list of unreadable images."""
        return {name: value for name, value in asdict(self).items() if name != "unreadable"}


def look_at(
    source: Source,
    channels: int | None = None,
    workers: int | None = None,
    follow: Callable[[int], None] = lambda seen: None,
) -> Look:
    """Decodes every image once, in several processes, and says what there is.

    The memory it takes does not grow with the images' size, and by some 30 bytes with each image.

    Args:
        source: Where they are.
        channels: To have; None for what most images have: 1, 3, or another number.
        workers: Processes; None for as many as there are cores.
        follow: Is called with the number of images seen so far.

    Raises:
        ConfigError: No image can be read.
    """
    facts = np.zeros((len(source), 4), dtype=np.int32)  # height, width, channels, dtype
    dtypes: list[str] = []
    kinds: Counter[str] = Counter()
    ranges: list[tuple[float, float]] = []
    reasons: dict[int, str] = {}
    seen = 0
    for start, chunk in _each(source, _facts, range(0, len(source), CHUNK), workers):
        for i, (fact, span) in enumerate(chunk, start):
            if isinstance(fact, str):
                reasons[i] = fact
                continue
            height, width, depth, dtype, kind = fact
            if dtype not in dtypes:
                dtypes.append(dtype)
            facts[i] = height, width, depth, dtypes.index(dtype)
            if kind:
                kinds[kind] += 1
            if span is not None:
                ranges.append(span)
        seen += len(chunk)
        follow(seen)
    good = np.array([i for i in range(len(source)) if i not in reasons], dtype=np.int64)
    _require(len(good), source, reasons)
    found = Counter(facts[good, 2].tolist())
    wanted = channels or _suggest(found)
    for i in good[[not _fits(int(c), wanted) for c in facts[good, 2]]]:
        reasons[int(i)] = f"it has {facts[i, 2]} channels, and the data set {wanted}"
    good = np.array([i for i in good if i not in reasons], dtype=np.int64)
    _require(len(good), source, reasons)
    depths = Counter(dtypes[code] for code in facts[good, 3])
    span = _range(ranges) if depths.most_common(1)[0][0] != "uint8" else None
    mean, std = _statistics(source, good, wanted, span, workers)
    sides = np.sort(facts[good, :2], axis=1)
    same = (facts[good, :2] == facts[good[0], :2]).all()
    return Look(
        images=len(good),
        shorter=_three(sides[:, 0]),
        longer=_three(sides[:, 1]),
        one_size=(int(facts[good[0], 0]), int(facts[good[0], 1])) if same else None,
        channels=dict(found),
        dtypes=dict(depths),
        kinds=dict(kinds),
        suggested_channels=wanted,
        value_range=span,
        mean=mean,
        std=std,
        classes=None if source.classes is None else list(source.classes),
        digest=digest(source),
        unreadable=[(source.names[i], reasons[i]) for i in sorted(reasons)],
    )


def write_left_out(look: Look, path: Path) -> None:
    """Writes the table that a data set's ``leave_out`` reads: name and reason of each unreadable image."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([("name", "reason"), *look.unreadable])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))


def read_left_out(path: Path) -> list[tuple[str, str]]:
    """Reads that table."""
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return [(record["name"], record["reason"]) for record in csv.DictReader(file)]


def digest(source: Source) -> str:
    """A hash of all names, in order."""
    sum_ = hashlib.sha256()
    for i in range(len(source)):
        sum_.update(os.fsencode(source.names[i]) + b"\0")
    return sum_.hexdigest()[:16]


def _require(images: int, source: Source, reasons: dict[int, str]) -> None:
    if not images:
        first = next(iter(reasons))
        raise ConfigError(
            f"none of {len(source)} images can be used; {source.names[first]}: {reasons[first]}"
        )


def _suggest(found: Counter[int]) -> int:
    """Three where there is colour, one where all is gray, otherwise what most images have."""
    most = found.most_common(1)[0][0]
    return 3 if most in (1, 3) and found[3] else most


def _fits(found: int, wanted: int) -> bool:
    return found == wanted or {found, wanted} == {1, 3}


def _three(values: np.ndarray) -> tuple[int, int, int]:
    return int(values.min()), int(np.median(values)), int(values.max())


def _range(ranges: list[tuple[float, float]]) -> tuple[float, float]:
    """What becomes 0 and 255: all but a thousandth of an image's pixels lie within, on either side."""
    low = min(low for low, _ in ranges)
    high = float(np.quantile([high for _, high in ranges], 0.99))
    return low, high if high > low else low + 1


def _statistics(
    source: Source,
    good: np.ndarray,
    channels: int,
    span: tuple[float, float] | None,
    workers: int | None,
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel over the pixels of a sample, each image weighing the same."""
    chosen = good[:: max(len(good) // SAMPLE, 1)][:SAMPLE]
    first = second = np.zeros(channels)
    jobs = [(part, channels, span) for part in np.array_split(chosen, -(-len(chosen) // 16))]
    for _, (one, two) in _each(source, _moments, jobs, workers):
        first, second = first + one, second + two
    mean = first / len(chosen)
    std = np.sqrt(np.maximum(second / len(chosen) - mean**2, 1e-6))
    return [round(float(x), 3) for x in mean], [round(float(x), 3) for x in std]


def _facts(source: Source, start: int) -> list[tuple[Any, tuple[float, float] | None]]:
    """Of each image of a chunk: size, channels, dtype and kind, or why it can't be read; and the range of deep ones."""
    found: list[tuple[Any, tuple[float, float] | None]] = []
    for i in range(start, min(start + CHUNK, len(source))):
        try:
            pixels, kind = decode(source.read(i))
            span = None
            if pixels.dtype != np.uint8:
                part = pixels[:: max(len(pixels) // 128, 1), :: max(pixels.shape[1] // 128, 1)]
                if not np.isfinite(part).all():
                    raise ValueError("it holds NaN or infinity")
                low, high = np.quantile(part, (0.001, 0.999))
                span = float(low), float(high)
            found.append(((*pixels.shape, str(pixels.dtype), kind), span))
        except ConfigError:
            raise  # a package is missing
        except Exception as error:  # decoders raise what they like
            said = " ".join(str(error).split())
            found.append(
                (re.sub(r" <_io\.BytesIO object at \w+>", "", said)[:200] or repr(error), None)
            )
    return found


def _moments(
    source: Source, job: tuple[np.ndarray, int, tuple[float, float] | None]
) -> tuple[np.ndarray, np.ndarray]:
    """Sums over images of the mean and the mean square of each channel, RGB."""
    rows, channels, span = job
    first, second = np.zeros(channels), np.zeros(channels)
    for row in rows:
        image = in_units(decode(source.read(int(row))).pixels, channels, span).astype(np.float64)
        image = image[..., ::-1] if channels == 3 else image
        first += image.mean((0, 1))
        second += (image**2).mean((0, 1))
    return first, second


_SOURCE: list[Source] = []
"""What the processes of a pool look at."""


def _hold(source: Source) -> None:
    _SOURCE[:] = [source]


def _call(task: tuple[Callable[[Source, Any], Any], Any]) -> tuple[Any, Any]:
    function, job = task
    return job, function(_SOURCE[0], job)


def _each(
    source: Source, function: Callable[[Source, Any], Any], jobs: Iterable[Any], workers: int | None
) -> Iterator[tuple[Any, Any]]:
    """Each job and its result, in order; in this process where there is little to do."""
    tasks = [(function, job) for job in jobs]
    workers = min(workers or len(os.sched_getaffinity(0)), len(tasks))
    if workers <= 1:
        yield from ((job, function(source, job)) for function, job in tasks)
        return
    context = multiprocessing.get_context("fork")
    with context.Pool(workers, _hold, (source,)) as pool:
        yield from pool.imap(_call, tasks)
