"""PatchMix: patches of the next image in place of half of one's own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mixssl.mixing.base import Mixer
from mixssl.mixing.ops import mask_blend, rows_mixture, upsampled
from mixssl.mixing.sampling import check_views
from mixssl.registry import MIXERS
from mixssl.structures import MixedView
from mixssl.utils.errors import require


@MIXERS.register_module()
class PatchMix(Mixer):
    """Takes half of an image's patches from the next image of the batch (Shen et al. 2023, PatchMix, §3.1).

    All images of a batch give up the same patches, drawn anew for each view; image i gets those of image i + 1, the
    last one those of the first. Read it with :class:`~mixssl.models.heads.OverlapHead`.

    λ is the share that stays, more than a half where the number of patches is odd; the authors' code says a half. Their
    code mixes m images, 2 in all of their recipes; so does this, a mixture here having two.

    Args:
        patch: Side of a patch in pixels, which must divide height and width; for a ViT the size of its patches, so that
            no token shows two images.
        views: Clean views to mix, with the same partners.

    Raises:
        ValueError: If an argument lies outside its range, or patches don't fit the images.
    """

    def __init__(self, patch: int = 16, views: Sequence[int] = (0, 1)) -> None:
        require(">= 1", self, "at least 1 pixel; 16 is usual for 224, 2 for 32", patch=patch)
        self.patch = patch
        self.views = self.checked_views(views)

    def __call__(self, views: Sequence[Tensor], generator: torch.Generator) -> list[MixedView]:
        """Mixes ``self.views`` of the clean views; see :meth:`Mixer.__call__`."""
        check_views(self, views)
        mixtures = []
        for source in self.views:
            images = views[source]
            height, width = images.shape[-2:]
            if height % self.patch or width % self.patch or height * width < 2 * self.patch**2:
                raise ValueError(
                    f"patch of PatchMix is {self.patch} and the images have {height} x {width} pixels: it must divide "
                    "both and leave at least 2 patches"
                )
            cells, lam = patch_mask(height // self.patch, width // self.patch, generator)
            mask = upsampled(cells.to(images.device, non_blocking=True), height, width)
            partner = torch.arange(len(images), device=images.device).roll(-1)
            mixed = mask_blend(images, images[partner], mask)
            mixtures.append(rows_mixture(mixed, source, partner, lam, mask))
        return mixtures


def patch_mask(rows: int, columns: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draws the patches that stay.

    Args:
        rows: Of patches.
        columns: Of patches.
        generator: A CPU generator.

    Returns:
        cells: (rows, columns), float32: 1 where the own image stays, 0 where the next one shows. Of a random order
            of the T patches the second T // 2 change hands, as in the authors' code.
        lam: (1,), float64: the share that stays.
    """
    count = rows * columns
    order, half = torch.randperm(count, generator=generator), count // 2
    mask = torch.ones(count)
    mask[order[half : 2 * half]] = 0.0
    return mask.view(rows, columns), torch.tensor([1 - half / count], dtype=torch.float64)
