"""SplitBN is several batch normalisations side by side."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mixssl.models.layers import SplitBN


def test_each_part_is_normalised_as_its_own_batch() -> None:
    torch.manual_seed(0)
    x = torch.randn(12, 3, 4, 5)
    split, plain = SplitBN(3, num_splits=4), [nn.BatchNorm2d(3) for _ in range(4)]
    out = split(x)
    for part in range(4):
        assert torch.allclose(out[part::4], plain[part](x[part::4]), atol=1e-6)
    mean = torch.stack([bn.running_mean for bn in plain]).mean(0)
    var = torch.stack([bn.running_var for bn in plain]).mean(0)
    assert torch.allclose(split.running_mean, mean, atol=1e-6)
    assert torch.allclose(split.running_var, var, atol=1e-6)
    assert split.num_batches_tracked.item() == 1


def test_one_part_and_evaluation_are_plain_batch_norm() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4, 4)
    one, plain = SplitBN(3, num_splits=1), nn.BatchNorm2d(3)
    assert torch.equal(one(x), plain(x))
    four = SplitBN(3, num_splits=4).eval()
    four.load_state_dict(plain.state_dict())
    assert torch.equal(four(x), plain.eval()(x))


def test_a_momentum_of_none_averages_over_batches() -> None:
    torch.manual_seed(0)
    split = SplitBN(2, num_splits=2, momentum=None)
    batches = [torch.randn(8, 2, 3, 3) + i for i in range(3)]
    for x in batches:
        split(x)
    expected = torch.stack([x.mean((0, 2, 3)) for x in batches]).mean(0)
    assert torch.allclose(split.running_mean, expected, atol=1e-5)


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(
        ValueError, match="batch of 6, which does not divide by num_splits 4.*drop_last"
    ):
        SplitBN(3, num_splits=4)(torch.randn(6, 3, 2, 2))
    with pytest.raises(ValueError, match="num_splits of SplitBN is 0"):
        SplitBN(3, num_splits=0)
