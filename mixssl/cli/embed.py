"""Features of a person's images by a backbone: as a table with names, and as pages of neighbours."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from mixssl.datasets import AnyImages
from mixssl.datasets.sources import needs
from mixssl.engine.atomic_writes import write_atomically
from mixssl.evaluation.features import pool
from mixssl.evaluation.knn import check_neighbours
from mixssl.evaluation.neighbours import nearest_by_cosine
from mixssl.registry import TRANSFORMS
from mixssl.transfer.backbone_folder import Backbone, build_backbone
from mixssl.utils.checkpoints import read_checkpoint
from mixssl.utils.errors import ConfigError
from mixssl.visualization import save_figure
from mixssl.visualization.neighbours import neighbours_figure

PART = 4096
"""Images whose features are written together: as much is done again after a run was stopped."""


def embed(args: argparse.Namespace) -> None:
    """What ``mixssl embed`` does: features of every image that can be read, and a table of the others."""
    out = args.out
    if out.suffix not in (".npz", ".parquet"):
        raise ConfigError(f"--out is {str(out)!r}; give a file that ends in .npz or .parquet")
    if out.suffix == ".parquet":
        needs("pyarrow.parquet", "pyarrow", "parquet")
    backbone = read_backbone(args.backbone)
    images = images_for(backbone, args.images)
    network = build_backbone(backbone).to(args.device or _device())
    parts = out.with_name(f".{out.name}.parts")
    ticket = {"images": args.images, "backbone": str(args.backbone), "count": len(images)}
    _claim(parts, ticket)
    starts = range(0, len(images), PART)
    for start in track(starts, "embedding", console=Console(stderr=True), transient=True):
        path = parts / f"{start:012d}.npz"
        if not path.is_file():
            rows = range(start, min(start + PART, len(images)))
            write_atomically(_packed(network, backbone, images, rows, args), path)
    _merge([parts / f"{start:012d}.npz" for start in starts], out)
    for path in parts.iterdir():
        path.unlink()
    parts.rmdir()


def read_backbone(folder: Path) -> Backbone:
    """Reads a folder that ``pretrain`` or ``export`` has written; nothing in it is run.

    Raises:
        ConfigError: It is no such folder.
    """
    config = Path(folder) / "config.json"
    noted = json.loads(config.read_text()).get("mixssl") if config.is_file() else None
    if noted is None:
        raise ConfigError(
            f"{str(folder)!r} is no backbone of mixssl, which has a config.json that says so: name the folder backbone "
            "of a run of mixssl pretrain, or make one of a checkpoint with mixssl export"
        )
    state = read_checkpoint(Path(folder) / "mmpretrain.pth").state
    span = noted["value_range"]
    return Backbone(
        state={name.removeprefix("backbone."): value for name, value in state.items()},
        config=noted["backbone"],
        mean=noted["mean"],
        std=noted["std"],
        size=noted["size"],
        whole=noted["whole"],
        value_range=None if span is None else (span[0], span[1]),
        facts=noted["facts"],
    )


def images_for(backbone: Backbone, source: Any, **settings: Any) -> AnyImages:
    """Images as a backbone wants to see them; ``settings`` are further ones of AnyImages."""
    return AnyImages(
        source,
        channels=backbone.channels,
        value_range=backbone.value_range,
        at_least=backbone.whole,
        **settings,
    )


def features_of(
    network: nn.Module,
    backbone: Backbone,
    images: AnyImages,
    rows: Sequence[int],
    batch: int,
    workers: int,
) -> tuple[Tensor, list[int], dict[str, str]]:
    """Features of some images.

    Returns:
        Features, (M, D), float32; which of the rows they are of; and name and reason of each that can't be read.
    """
    shown = Subset(_Shown(images, backbone), list(rows))
    found: list[Tensor] = []
    kept: list[int] = []
    failed: dict[str, str] = {}
    device = next(network.parameters()).device
    with torch.inference_mode():
        for row, image, reason in _batches(shown, batch, workers):
            failed |= reason
            if len(row):
                kept += row
                feats = network(image.to(device))
                found.append(
                    pool(feats, "cls", getattr(network, "num_extra_tokens", 1)).float().cpu()
                )
    return torch.cat(found) if found else torch.zeros(0, backbone.features), kept, failed


class _Shown(Dataset):
    """Images ready for a network: row, pixels (C, H, W), and nothing or the reason why there are none."""

    def __init__(self, images: AnyImages, backbone: Backbone) -> None:
        self.images = images
        edge = {"type": "ResizeEdge", "scale": backbone.whole, "edge": "short", "backend": "cv2"}
        cut = {"type": "CenterCrop", "crop_size": backbone.size}
        self.steps = Compose(
            [TRANSFORMS.build({**step, "_scope_": "mmpretrain"}) for step in (edge, cut)]
        )
        self.mean, self.std = (
            torch.tensor(v).view(-1, 1, 1) for v in (backbone.mean, backbone.std)
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> tuple[int, Tensor | None, dict[str, str]]:
        try:
            image = self.steps(self.images.get_data_info(row))["img"]
        except ConfigError as error:
            return row, None, {self.images.source.names[int(self.images.rows[row])]: str(error)}
        image = image[..., None] if image.ndim == 2 else image
        image = (
            image[..., ::-1] if image.shape[2] == 3 else image
        )  # the data set gives blue, green, red
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()
        return row, (pixels - self.mean) / self.std, {}


def _collate(samples: list) -> tuple[list[int], Tensor, dict[str, str]]:
    good = [(row, image) for row, image, _ in samples if image is not None]
    failed = {name: why for _, _, reason in samples for name, why in reason.items()}
    images = torch.stack([image for _, image in good]) if good else torch.zeros(0)
    return [row for row, _ in good], images, failed


def _batches(shown: Dataset, batch: int, workers: int) -> Iterator[tuple[list[int], Tensor, dict]]:
    yield from DataLoader(shown, batch, num_workers=workers, collate_fn=_collate)


def _packed(
    network: nn.Module, backbone: Backbone, images: AnyImages, rows: range, args: argparse.Namespace
) -> bytes:
    """A part as bytes."""
    import io

    features, kept, failed = features_of(
        network, backbone, images, rows, args.batch_size, args.workers
    )
    names = [images.source.names[int(images.rows[row])] for row in kept]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        features=features.numpy(),
        names=np.array(names, dtype=str),
        failed=np.array([*failed.items()], dtype=str).reshape(-1, 2),
    )
    return buffer.getvalue()


def _merge(paths: Sequence[Path], out: Path) -> None:
    """All parts as one file, and what could not be read beside it."""
    parts = [np.load(path, allow_pickle=False) for path in paths]
    names = np.concatenate([part["names"] for part in parts])
    features = np.concatenate([part["features"] for part in parts])
    failed = np.concatenate([part["failed"] for part in parts])
    if out.suffix == ".npz":
        import io

        buffer = io.BytesIO()
        np.savez(buffer, names=names, features=features)
        write_atomically(buffer.getvalue(), out)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        width = features.shape[1]
        column = pa.FixedSizeListArray.from_arrays(pa.array(features.reshape(-1)), width)
        target = pa.BufferOutputStream()
        pq.write_table(pa.table({"name": pa.array(names.tolist()), "feature": column}), target)
        write_atomically(target.getvalue().to_pybytes(), out)
    said = f"{len(names)} images, {features.shape[1]} numbers each: {out}"
    if len(failed):
        table = out.with_name(f"{out.stem}_unreadable.csv")
        lines = ["name,reason", *(f'"{name}","{why}"' for name, why in failed.tolist())]
        write_atomically(("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"), table)
        said += f"; {len(failed)} can't be read: {table}"
    print(said)


def _claim(parts: Path, ticket: Mapping[str, Any]) -> None:
    """Makes the folder of parts, or goes on with one of the same images and backbone."""
    noted = parts / "of.json"
    if noted.is_file() and json.loads(noted.read_text()) != ticket:
        for path in parts.iterdir():
            path.unlink()
    write_atomically(json.dumps(ticket).encode(), noted)


def neighbours(args: argparse.Namespace) -> None:
    """What ``mixssl visualize neighbours`` does: a page of images and those most like them."""
    backbone = read_backbone(args.backbone)
    images = images_for(backbone, args.images)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(args.seed))
    rows = order[: args.most].tolist()
    network = build_backbone(backbone).to(args.device or _device())
    features, kept, _ = features_of(network, backbone, images, rows, args.batch_size, args.workers)
    figure = draw_neighbours(images, features, kept, args.num, args.k, str(args.backbone))
    print(save_figure(figure, args.out))


def draw_neighbours(
    images: AnyImages, features: Tensor, rows: Sequence[int], num: int, k: int, title: str
) -> Any:
    """Draws the first images of some rows and the k nearest of the others, by cosine."""
    if not 1 <= k < len(rows):
        raise ConfigError(
            f"k is {k}, and {len(rows)} images were looked at: choose 1 to {len(rows) - 1}"
        )
    check_neighbours(k, len(rows))
    num = min(num, len(rows))
    similar, nearest = nearest_by_cosine(
        features[:num], features, k + 1, 256, 65536, features.device
    )
    pictures = {}

    def picture(place: int) -> np.ndarray:
        if place not in pictures:
            pictures[place] = images.get_data_info(rows[place])["img"]
        return pictures[place]

    lines = []
    for query in range(num):
        others = [
            (place, score)
            for place, score in zip(nearest[query].tolist(), similar[query].tolist(), strict=True)
            if place != query
        ][:k]
        lines.append((picture(query), [(picture(place), score) for place, score in others]))
    return neighbours_figure(lines, title)


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
