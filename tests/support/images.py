"""Folders of small images of every kind, for tests."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

__all__ = ["noise", "png", "write_every_kind", "write_folder", "write_shard"]


def noise(seed: int, *shape: int, high: int = 256) -> np.ndarray:
    """Random whole numbers from 0 to ``high - 1``, uint8 or uint16."""
    values = torch.randint(high, shape, generator=torch.Generator().manual_seed(seed)).numpy()
    return values.astype(np.uint8 if high <= 256 else np.uint16)


def png(pixels: np.ndarray) -> bytes:
    """An image, (H, W, 3) or (H, W), as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def blobs(seed: int, size: int) -> np.ndarray:
    """Colours that change smoothly, (size, size, 3): images that can be told apart by more than noise."""
    return cv2.resize(noise(seed, 4, 4, 3), (size, size), interpolation=cv2.INTER_CUBIC)


def write_folder(folder: Path, count: int, size: int = 32, classes: int = 0) -> Path:
    """Writes images as PNG, below as many folders as there are classes."""
    for i in range(count):
        place = folder / f"class_{i % classes}" if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{i:05d}.png").write_bytes(png(blobs(i, size)))
    return folder


def write_every_kind(folder: Path) -> dict[str, str]:
    """Writes good and bad images of every kind; returns the bad ones with a word of the reason."""
    write_folder(folder / "plain" / "deeper", 12)
    colour = Image.fromarray(blobs(1, 40))
    colour.convert("L").save(folder / "gray.png")
    colour.convert("P").save(folder / "palette.png")
    colour.convert("RGBA").save(folder / "alpha.png")
    colour.convert("LA").save(folder / "gray_alpha.png")
    colour.convert("1").save(folder / "bits.png")
    colour.convert("CMYK").save(folder / "cmyk.jpg")
    colour.save(folder / "UPPER.JPG")
    colour.save(folder / "moving.gif")
    cv2.imwrite(str(folder / "deep.png"), noise(2, 20, 30, 3, high=65536))
    whole = (folder / "UPPER.JPG").read_bytes()
    (folder / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("this is no image\n")
    (folder / "notes.txt").write_text("nobody asks for this file\n")
    np.save(folder / "five.npy", noise(3, 16, 16, 5))
    return {
        "half.jpg": "Truncated",
        "empty.png": "empty",
        "text.png": "cannot identify",
        "five.npy": "5 channels",
    }


def write_shard(path: Path, images: dict[str, bytes], labels: dict[str, int] | None = None) -> Path:
    """Writes a tar shard."""
    with tarfile.open(path, "w") as tar:
        for name, content in images.items():
            parts = {name: content}
            if labels is not None:
                parts[f"{name.split('.')[0]}.cls"] = str(labels[name]).encode()
            for member, data in parts.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path
