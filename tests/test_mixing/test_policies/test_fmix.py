"""FMix: exact areas, smooth masks."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import FMix
from mixssl.mixing.policies.fmix import fourier_masks


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _noise(count: int, height: int, width: int) -> torch.Tensor:
    return torch.randn(count, height, width // 2 + 1, generator=_generator(), dtype=torch.complex64)


@pytest.mark.parametrize("width", [15, 16])
def test_a_mask_is_the_highest_part_of_the_field(width: int) -> None:
    """Naive transcription: the inverse transform, pixel by pixel, then a sort."""
    noise, pixels = _noise(3, 12, width), torch.tensor([0, 50, 12 * width])
    masks = fourier_masks(noise, pixels, width, 3.0)
    assert masks.shape == (3, 1, 12, width)
    assert masks.sum(dim=(1, 2, 3)).tolist() == pixels.tolist()
    assert set(masks.unique().tolist()) == {0.0, 1.0}
    scaled = torch.zeros_like(noise[1])
    for u in range(12):
        for v in range(width // 2 + 1):
            frequency = max(((min(u, 12 - u) / 12) ** 2 + (v / width) ** 2) ** 0.5, 1 / width)
            scaled[u, v] = noise[1, u, v] / frequency**3
    field = torch.fft.irfft2(scaled, s=(12, width))
    threshold = field.flatten().sort(descending=True).values[49]
    assert torch.equal(masks[1, 0].bool(), field >= threshold)


def test_more_decay_gives_smoother_edges() -> None:
    noise, pixels = _noise(20, 32, 32), torch.full((20,), 512)
    edges = [
        fourier_masks(noise, pixels, 32, decay).diff(dim=3).abs().mean().item()
        for decay in (0.0, 1.0, 3.0)
    ]
    assert edges[0] > 1.5 * edges[1] > 3 * edges[2]


def test_lam_is_a_whole_number_of_pixels_and_one_mask_serves_the_batch() -> None:
    (mixed,) = FMix()(views(4), _generator())
    assert (mixed.lam * 256).frac().abs().max() < 1e-4
    assert torch.equal(mixed.mask, mixed.mask[:1].expand(4, -1, -1, -1))
    (mixed,) = FMix(per_sample=True)(views(4), _generator())
    assert not torch.equal(mixed.mask[0], mixed.mask[1])


def test_a_decay_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"decay of FMix is -1.0 and must be >= 0"):
        FMix(decay=-1.0)
