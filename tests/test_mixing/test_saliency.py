"""Center-surround saliency against its definition, pixel by pixel."""

from __future__ import annotations

import torch

from mixssl.mixing import center_surround


def _naive(gray: torch.Tensor, radii: tuple[int, ...]) -> torch.Tensor:
    height, width = gray.shape
    out = torch.zeros(height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            for r in radii:
                square = gray[max(y - r, 0) : y + r + 1, max(x - r, 0) : x + r + 1]
                mean = (square.sum() - gray[y, x]) / (square.numel() - 1)
                out[y, x] += (gray[y, x] - mean).abs()
    return out


def test_it_is_the_contrast_with_the_squares_around() -> None:
    images = torch.randn(3, 3, 9, 13, generator=torch.Generator().manual_seed(0)) + 5
    radii = (1, 2, 4, 20)
    got = center_surround(images, radii)
    for image, one in zip(images, got, strict=True):
        assert torch.allclose(one.double(), _naive(image.double().mean(0), radii), atol=1e-5)


def test_a_spot_stands_out_and_a_flat_image_does_not() -> None:
    images = torch.full((2, 3, 32, 32), 0.3)
    images[1, :, 20:23, 7:10] += 1.0
    saliency = center_surround(images)
    assert saliency[0].max() < 1e-5
    y, x = divmod(int(saliency[1].argmax()), 32)
    assert 20 <= y < 23 and 7 <= x < 10
