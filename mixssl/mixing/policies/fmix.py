"""FMix: irregular masks of a given area, cut from smooth random fields."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.mixing.ops import mask_blend, rows_mixture
from mixssl.mixing.policies.base import BetaPolicy
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require


@MIXERS.register_module()
class FMix(BetaPolicy[tuple[Tensor, Tensor]]):
    """Masks from low-frequency noise, thresholded so that λ of the pixels are the own image's (Harris et al. 2020).

    The noise has a complex normal spectrum divided by frequency to the power of ``decay``. λ is rounded to whole pixels
    (the authors round up or down at random), hence a mask's mean is λ exactly. A draw costs one normal per pixel on the
    CPU, so ``per_sample`` with large batches of large images is slow.

    Args:
        alpha: Of λ ~ Beta(alpha, alpha), > 0; the paper uses 1.
        decay: Power of the frequency, >= 0: the larger, the smoother the mask's edge; the paper uses 3.
        per_sample: Whether each image has a mask of its own.
        views: Clean views to mix, with the same partners and masks.

    Raises:
        ValueError: If an argument lies outside its range.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        decay: float = 3.0,
        per_sample: bool = False,
        views: Sequence[int] = (0,),
    ) -> None:
        super().__init__(alpha, per_sample, views)
        require(">= 0", self, "the paper uses 3.0", decay=decay)
        self.decay = decay

    def draw(
        self, count: int, height: int, width: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draws how many pixels are the own image's, (count,), int64, and the noise's spectrum, complex64."""
        pixels = (self.draw_lam(count, generator) * (height * width)).round().long()
        shape = (count, height, width // 2 + 1)
        return pixels, torch.randn(shape, generator=generator, dtype=torch.complex64)

    def render(
        self, images: Tensor, source: int, partner: Tensor, draw: tuple[Tensor, Tensor]
    ) -> MixedView:
        """Makes the masks and mixes by them; see :meth:`Policy.render`."""
        height, width = images.shape[-2:]
        pixels, spectrum = (part.to(images.device, non_blocking=True) for part in draw)
        mask = fourier_masks(spectrum, pixels, width, self.decay)
        lam = pixels.float() / (height * width)
        return rows_mixture(mask_blend(images, images[partner], mask), source, partner, lam, mask)


def fourier_masks(spectrum: Tensor, pixels: Tensor, width: int, decay: float) -> Tensor:
    """Turns noise into masks of a given number of pixels.

    Args:
        spectrum: White noise, (B, H, W // 2 + 1), complex.
        pixels: How many pixels of each mask are 1, (B,), int64, in [0, H·W].
        width: W.
        decay: Power by which the spectrum falls with frequency, >= 0.

    Returns:
        (B, 1, H, W), float32, of zeros and ones.
    """
    height, device = spectrum.shape[1], spectrum.device
    rows = torch.fft.fftfreq(height, device=device)[:, None]
    columns = torch.fft.rfftfreq(width, device=device)[None]
    frequency = torch.hypot(rows, columns).clamp_min(1 / max(height, width))
    field = torch.fft.irfft2(spectrum * frequency**-decay, s=(height, width)).flatten(1)
    order = field.argsort(dim=1, descending=True)
    rank = torch.arange(height * width, device=device)
    chosen = (rank < pixels[:, None]).float()
    return torch.empty_like(field).scatter_(1, order, chosen).view(-1, 1, height, width)
