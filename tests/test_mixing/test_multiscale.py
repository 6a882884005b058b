"""MultiScale mixes each size of views on its own."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import TASK_UTILS as ROOT_TASK_UTILS
from support.tiny import views
from torch import Tensor

from mixssl.mixing import IntraCutMix, MixCo, MultiScale, UnMix


def _views() -> list[Tensor]:
    return [*views(4, 16), *views(4, 8, seed=1), *views(4, 12, seed=2)]


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_size_is_mixed_as_if_it_were_alone_by_draws_of_its_own() -> None:
    x, inner = _views(), {"type": "mixssl.UnMix", "p_global": 1.0}
    mixtures = ROOT_TASK_UTILS.build({"type": "mixssl.MultiScale", "mixer": inner, "scales": 3})(
        x, _generator()
    )
    alone, generator = UnMix(p_global=1.0), _generator()
    assert [mixed.source for mixed in mixtures] == [0, 2, 4]
    for first, mixed in zip((0, 2, 4), mixtures, strict=True):
        (expected,) = alone(x[first : first + 2], generator)
        assert torch.equal(mixed.images, expected.images) and torch.equal(mixed.lam, expected.lam)
    assert len({mixed.lam[0].item() for mixed in mixtures}) == 3


def test_both_views_of_a_mixture_are_renumbered() -> None:
    mixtures = MultiScale(IntraCutMix(), scales=3)(_views(), _generator())
    numbers = [(mixed.source, mixed.partner_view) for mixed in mixtures]
    assert numbers == [(0, 1), (1, 0), (2, 3), (3, 2), (4, 5), (5, 4)]


def test_one_size_is_the_mixer_alone() -> None:
    (mixed,) = MultiScale(UnMix(), scales=1)(views(4), _generator(3))
    (expected,) = UnMix()(views(4), _generator(3))
    assert torch.equal(mixed.images, expected.images) and mixed.source == expected.source == 0


def test_lam_per_row_stays_so() -> None:
    assert MultiScale(MixCo()).shared_lam is MixCo().shared_lam is False
    assert MultiScale(UnMix()).shared_lam is True


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="scales of MultiScale is 0 and must be >= 1"):
        MultiScale(UnMix(), scales=0)
    with pytest.raises(
        ValueError, match=r"2 sizes of 2 views and the pipeline gives 6 views: .*num_views=\[2, 2\]"
    ):
        MultiScale(UnMix())(_views(), _generator())
