"""AMix's draws."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import AMix
from mixssl.structures import BLOCK, ENCODER


def _draw(seed: int = 0, batch: int = 16, **options):
    return AMix(**options)(views(batch), torch.Generator().manual_seed(seed))


def test_encoder_and_block_have_partners_and_lam_of_their_own() -> None:
    encoder, block = _draw()
    assert (encoder.learned, block.learned) == (ENCODER, BLOCK)
    assert not torch.equal(encoder.partner, block.partner)
    assert encoder.lam[0] != block.lam[0]
    for mixture in (encoder, block):
        assert mixture.images is None and mixture.mask is None and mixture.layer is None
        assert (mixture.source, mixture.partner_view) == (0, 0)
        assert torch.equal(mixture.index, torch.arange(16))
        assert torch.equal(mixture.partner.sort().values, torch.arange(16))
        assert mixture.lam.dtype == torch.float32 and mixture.lam.unique().numel() == 1


def test_a_lam_per_image() -> None:
    encoder, _ = _draw(per_sample=True)
    assert encoder.lam.unique().numel() == 16
    assert not AMix(per_sample=True).shared_lam and AMix().shared_lam


def test_every_mixed_view_gives_two_mixtures() -> None:
    mixtures = _draw(views=(0, 1))
    assert [(m.source, m.learned) for m in mixtures] == [
        (0, ENCODER),
        (0, BLOCK),
        (1, ENCODER),
        (1, BLOCK),
    ]


def test_the_same_generator_gives_the_same_draws() -> None:
    for a, b in zip(_draw(seed=3), _draw(seed=3), strict=True):
        assert torch.equal(a.lam, b.lam) and torch.equal(a.partner, b.partner)
    assert not torch.equal(_draw(seed=3)[0].lam, _draw(seed=4)[0].lam)


def test_lam_has_the_variance_of_its_beta_distribution() -> None:
    """Beta(2, 2): mean 1/2, variance 1/20."""
    lam = torch.cat([m.lam for s in range(40) for m in _draw(s, 64, per_sample=True)])
    assert abs(lam.mean() - 0.5) < 0.01 and abs(lam.var() - 0.05) < 0.005


@pytest.mark.parametrize(
    ("options", "match"),
    [({"alpha": 0.0}, "alpha of AMix is 0.0"), ({"views": ()}, "views of AMix")],
)
def test_what_is_out_of_range_is_refused(options: dict, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        AMix(**options)


def test_a_single_image_is_refused() -> None:
    with pytest.raises(ValueError, match="batch of 1"):
        _draw(batch=1)
