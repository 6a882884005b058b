"""λ adjusting, token grids and guards."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mixssl.models.necks.mask_ops import (
    adjust_mask,
    at_least_float32,
    finite,
    normalise,
    to_maps,
    token_grid,
)


def _masks(rows: int = 6) -> Tensor:
    return torch.rand(rows, 1, 5, 7, generator=torch.Generator().manual_seed(0))


def _with_mean(mean: float) -> Tensor:
    """A mask with exactly two values, half of the pixels each, around a mean."""
    spread = min(mean, 1 - mean) / 2
    return torch.tensor([mean - spread, mean + spread]).repeat(8).view(1, 1, 4, 4)


@pytest.mark.parametrize("lam", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_adjusted_masks_have_mean_lam_and_stay_in_range(lam: float) -> None:
    masks = torch.cat([_masks() * 0.2, _masks(), 1 - _masks() * 0.2])
    before = masks.clone()
    adjusted = adjust_mask(masks, torch.full((len(masks),), lam))
    assert torch.allclose(adjusted.mean(dim=(1, 2, 3)), torch.tensor(lam), atol=1e-6)
    assert adjusted.min() >= 0 and adjusted.max() <= 1
    assert torch.equal(masks, before)


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("lam", [0.0, 0.3, 1.0])
def test_constant_masks_of_0_and_1_become_lam(value: float, lam: float) -> None:
    mask = torch.full((1, 1, 4, 4), value, requires_grad=True)
    adjusted = adjust_mask(mask, torch.tensor([lam]))
    adjusted.square().sum().backward()
    assert torch.allclose(adjusted, torch.full_like(mask, lam))
    assert mask.grad is not None and mask.grad.isfinite().all()


def test_the_worked_example() -> None:
    mask = _with_mean(0.073)
    assert adjust_mask(mask, torch.tensor([0.3])).mean() == pytest.approx(0.3, abs=1e-6)
    assert (mask * (0.073 / 0.3)).mean() == pytest.approx(
        0.018, abs=5e-4
    )  # what the printed formula gives


def test_each_side_by_hand() -> None:
    mask = torch.tensor([0.2, 0.6]).view(1, 1, 1, 2)  # mean .4
    darker = adjust_mask(mask, torch.tensor([0.1]))
    lighter = adjust_mask(mask, torch.tensor([0.7]))
    assert torch.allclose(darker.flatten(), torch.tensor([0.05, 0.15]))
    assert torch.allclose(lighter.flatten(), torch.tensor([0.6, 0.8]))


def test_adjusting_either_image_s_mask_is_the_same() -> None:
    masks, lam = _masks(), torch.tensor([0.0, 0.1, 0.4, 0.6, 0.9, 1.0])
    assert torch.allclose(adjust_mask(1 - masks, 1 - lam), 1 - adjust_mask(masks, lam), atol=1e-6)


def test_a_mask_of_mean_lam_stays_and_half_precision_is_raised() -> None:
    masks = _masks()
    assert torch.allclose(adjust_mask(masks, masks.mean(dim=(1, 2, 3))), masks, atol=1e-6)
    assert adjust_mask(masks.half(), torch.full((6,), 0.3)).dtype == torch.float32


def test_adjusting_against_finite_differences() -> None:
    masks, lam = _masks(2).double().requires_grad_(), torch.tensor([0.2, 0.8]).double()
    assert torch.autograd.gradcheck(adjust_mask, (masks, lam.requires_grad_()))


@pytest.mark.parametrize(
    ("tokens", "size", "grid"),
    [
        (196, (224, 224), (14, 14)),
        (197, (224, 224), (14, 14)),  # a class token
        (198, (224, 224), (14, 14)),  # and a distillation token
        (201, (224, 224), (14, 14)),  # a class token and four registers
        (65, (32, 32), (8, 8)),
        (141, (224, 160), (14, 10)),
        (141, (160, 224), (10, 14)),
        (127, (224, 150), (14, 9)),  # the last patch cut off
        (49, (100, 100), (7, 7)),  # the last patch padded
        (2, (16, 16), (1, 1)),
    ],
)
def test_grids_of_tokens(tokens: int, size: tuple[int, int], grid: tuple[int, int]) -> None:
    assert token_grid(tokens, size) == grid


@pytest.mark.parametrize(("tokens", "size"), [(0, (16, 16)), (190, (224, 224))])
def test_tokens_that_fit_no_grid(tokens: int, size: tuple[int, int]) -> None:
    with pytest.raises(
        ValueError, match=f"^{tokens} tokens of an image of {size[0]} x {size[1]} pixels"
    ):
        token_grid(tokens, size)


def test_tokens_become_maps() -> None:
    maps = torch.randn(3, 5, 4, 6)
    tokens = torch.cat([torch.full((3, 2, 5), 9.0), maps.flatten(2).transpose(1, 2)], dim=1)
    assert torch.equal(to_maps(tokens, (64, 96)), maps)
    assert to_maps(maps, (64, 96)) is maps
    with pytest.raises(ValueError, match=r"shape \(3, 5\) and must be maps"):
        to_maps(torch.zeros(3, 5), (64, 96))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_is_not_finite_counts_as_0_and_gets_no_gradient(dtype: torch.dtype) -> None:
    values = torch.tensor([1.0, float("nan"), float("inf"), -float("inf"), -2.0], dtype=dtype)
    values.requires_grad_()
    kept = finite(values)
    kept.square().sum().backward()
    assert kept.tolist() == [1, 0, 0, 0, -2] and kept.dtype == dtype
    assert values.grad is not None and values.grad.tolist() == [2, 0, 0, 0, -4]


def test_numbers_beyond_half_precision_count_as_0() -> None:
    assert finite(torch.tensor([65504.0, -65504.0, 7e4, 1e30])).tolist() == [65504, -65504, 0, 0]


def test_precision_is_raised_and_never_lowered() -> None:
    dtypes = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
    raised = [at_least_float32(torch.ones(1, dtype=dtype)).dtype for dtype in dtypes]
    assert raised == [torch.float32] * 3 + [torch.float64]


def test_a_single_value_is_normalised_by_running_statistics() -> None:
    norm = nn.BatchNorm2d(3).train()
    norm.running_mean += 1
    alone = normalise(norm, torch.full((1, 3, 1, 1), 3.0))
    assert torch.allclose(alone, torch.full((1, 3, 1, 1), 2.0), atol=1e-4)
    assert norm.num_batches_tracked == 0
    pair = normalise(norm, torch.tensor([1.0, 3.0]).view(2, 1, 1, 1).repeat(1, 3, 1, 1))
    assert torch.allclose(pair[:, 0].flatten(), torch.tensor([-1.0, 1.0]), atol=1e-4)
    assert norm.num_batches_tracked == 1
