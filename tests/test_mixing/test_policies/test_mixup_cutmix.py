"""MixUp and CutMix against naive transcriptions."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import CutMix, MixUp
from mixssl.mixing.sampling import beta, cut_boxes, random_partner


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("per_sample", [False, True])
def test_mixup_blends_with_a_random_partner(per_sample: bool) -> None:
    x, generator = views(6), _generator(5)
    (mixed,) = MixUp(alpha=0.4, per_sample=per_sample)(x, _generator(5))
    partner = random_partner(6, generator)
    lam = beta(0.4, 6 if per_sample else 1, generator).expand(6)
    assert torch.equal(mixed.partner, partner)
    for i in range(6):
        expected = lam[i] * x[0][i] + (1 - lam[i]) * x[0][partner[i]]
        assert torch.allclose(mixed.images[i], expected.float(), atol=1e-6)


@pytest.mark.parametrize("per_sample", [False, True])
def test_cutmix_pastes_the_partners_box(per_sample: bool) -> None:
    x, generator = views(6), _generator(5)
    (mixed,) = CutMix(per_sample=per_sample)(x, _generator(5))
    partner = random_partner(6, generator)
    count = 6 if per_sample else 1
    boxes, lam = cut_boxes(beta(1.0, count, generator), 16, 16, generator)
    assert torch.equal(mixed.lam, lam.float().expand(6))
    for i in range(6):
        top, left, bottom, right = boxes[i % count].tolist()
        expected = x[0][i].clone()
        expected[:, top:bottom, left:right] = x[0][partner[i]][:, top:bottom, left:right]
        assert torch.equal(mixed.images[i], expected)


def test_both_views_share_partner_and_draws() -> None:
    first, second = CutMix(views=(0, 1))(views(6), _generator())
    assert (first.source, second.source) == (0, 1)
    for name in ("partner", "lam", "boxes"):
        assert torch.equal(getattr(first, name), getattr(second, name))


def test_views_of_different_sizes_are_refused() -> None:
    x = [views(4, 16)[0], views(4, 12)[0]]
    with pytest.raises(ValueError, match=r"MixUp got views of \[\(12, 12\), \(16, 16\)\] pixels"):
        MixUp(views=(0, 1))(x, _generator())
