"""i-Mix's draws."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import CutMix, ICutMix, IMix, MixUp


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_mixup_with_lam_folded_to_the_own_image(seed: int) -> None:
    x = views(6)
    (mixed,) = IMix(alpha=0.7)(x, _generator(seed))
    (plain,) = MixUp(alpha=0.7, per_sample=True)(x, _generator(seed))
    assert torch.equal(mixed.partner, plain.partner)
    assert torch.allclose(mixed.lam, torch.maximum(plain.lam, 1 - plain.lam))
    assert len(mixed.lam.unique()) == 6
    for i in range(6):
        expected = mixed.lam[i] * x[0][i] + (1 - mixed.lam[i]) * x[0][mixed.partner[i]]
        assert torch.allclose(mixed.images[i], expected, atol=1e-6)


def test_its_boxes_cover_at_most_half() -> None:
    x = views(4, 32)
    lams = [ICutMix()(x, _generator(seed))[0].lam[0].item() for seed in range(50)]
    others = [CutMix()(x, _generator(seed))[0].lam[0].item() for seed in range(50)]
    assert min(lams) >= 0.5 > min(others)
