"""From the bytes of a file to an array of pixels, whatever the format, the depth and the number of channels."""

import io
import warnings
from typing import NamedTuple

import numpy as np
from PIL import Image

from mixssl.datasets.sources.base import needs

MOST_CHANNELS = 16
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PNG = b"\x89PNG\r\n\x1a\n"
MOST_PIXELS = 2**31
"""More than that is no image but an attack on the memory."""


class Picture(NamedTuple):
    """An image as it was stored.

    ``pixels`` is (H, W, C), in the stored dtype, RGB where it has colours, without alpha. ``kind`` says in a word or
    two what was done to have it so: "palette", "alpha left out", or "".
    """

    pixels: np.ndarray
    kind: str


def decode(content: bytes, at_least: int | None = None) -> Picture:
    """Decodes an image: what Pillow reads, PNG of 16 bits, TIFF of any depth and bands, npy.

    Args:
        content: Of the file.
        at_least: A JPEG of several times this many pixels on its shorter side may be decoded at a half, a quarter or an
            eighth of its size, which is faster and no smaller than this.

    Raises:
        ValueError: Empty, no image, or one with no or more than 16 channels.
        Exception: What the decoders raise at damaged files; there is no common class.
    """
    if not content:
        raise ValueError("the file is empty")
    if content[:4] in TIFF:
        picture = _tiff(content)
    elif content[:6] == b"\x93NUMPY":
        picture = Picture(np.load(io.BytesIO(content), allow_pickle=False), "")
    elif content[:8] == PNG and content[24:25] == b"\x10":
        picture = _deep_png(content)
    else:
        return _pillow(content, at_least)
    pixels = picture.pixels
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or not pixels.size or pixels.dtype.kind not in "uif":
        raise ValueError(f"it is an array of shape {pixels.shape} of {pixels.dtype}, not (H, W, C)")
    if pixels.shape[2] > MOST_CHANNELS >= pixels.shape[0]:
        pixels = pixels.transpose(1, 2, 0)  # bands first, as GDAL and torch have them
    if pixels.shape[2] > MOST_CHANNELS:
        raise ValueError(f"it has the shape {pixels.shape}, and at most 16 channels are read")
    return Picture(np.ascontiguousarray(pixels), picture.kind)


def _pillow(content: bytes, at_least: int | None) -> Picture:
    """Formats of 8 bits, and gray of 16."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MOST_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = Image.open(io.BytesIO(content))
            if at_least is not None:
                opened.draft(opened.mode, (at_least, at_least))
            opened.load()
    finally:
        Image.MAX_IMAGE_PIXELS = limit
    image: Image.Image = opened
    mode, kind = image.mode, ""
    if mode == "1":
        image, kind = image.convert("L"), "black and white"
    elif mode in ("P", "PA"):
        image, kind = image.convert("RGB"), "palette"
    elif mode == "LA":
        image, kind = image.getchannel("L"), "alpha left out"
    elif mode in ("RGBA", "RGBa"):
        image, kind = image.convert("RGB"), "alpha left out"
    elif mode not in ("L", "RGB", "I;16", "I;16B", "I;16L", "I", "F"):
        image, kind = image.convert("RGB"), f"{mode} as RGB"
    pixels = np.array(image)
    if mode == "I":  # how Pillow holds 16-bit PGM
        pixels = pixels.astype(np.uint16) if pixels.min() >= 0 and pixels.max() < 65536 else pixels
    return Picture(pixels[..., None] if pixels.ndim == 2 else pixels, kind)


def _deep_png(content: bytes) -> Picture:
    """PNG of 16 bits, whose colours Pillow would cut down to 8."""
    import cv2

    pixels = cv2.imdecode(np.frombuffer(content, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("the PNG is damaged")
    if pixels.ndim == 2:
        return Picture(pixels, "")
    alpha = pixels.shape[2] == 4
    return Picture(pixels[..., 2::-1], "alpha left out" if alpha else "")


def _tiff(content: bytes) -> Picture:
    """TIFF: one page with its bands, or as many pages of one band."""
    tifffile = needs("tifffile", "tifffile", "TIFF")
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        series = file.series[0]
        pixels, page, axes = series.asarray(), series.pages[0], series.axes
        # Bands or pages come first; not so in an array (H, W, C) that was written without saying what its axes are.
        paged = pixels.ndim == 3 and axes[0] in "SQCIZ" and axes[-1] != "S"
        if paged and (len(pixels) <= MOST_CHANNELS or pixels.shape[2] > MOST_CHANNELS):
            pixels = pixels.transpose(1, 2, 0)
        if (
            getattr(page, "photometric", None) == 3 and pixels.ndim == 2
        ):  # a palette of 16-bit colours
            colours = (page.colormap >> 8).astype(np.uint8)
            return Picture(colours[:, pixels].transpose(1, 2, 0), "palette")
        extra = tuple(getattr(page, "extrasamples", ()))
        if pixels.ndim == 3 and any(sample in (1, 2) for sample in extra):
            return Picture(pixels[..., : -len(extra)], "alpha left out")
    return Picture(pixels, "")
