"""Mix Block and Mix Block+ against a transcription image by image, at their limits and in low precision."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS as ROOT_MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.models.necks import MixBlock, MixBlockPlus, preset_mix_block
from mixssl.models.necks.mix_block_presets import PRESETS

C = 6
SIZE = (16, 24)
PLUS, AUTOMIX = "mixssl.MixBlockPlus", "mixssl.MixBlock"
VARIANTS = [
    (PLUS, {}),
    (PLUS, {"predicted": "partner", "lam_encoding": "fixed", "act_cfg": {"type": "ELU"}}),
    (PLUS, {"predicted": "sum", "lam_encoding": "channel"}),
    (PLUS, {"predicted": "softmax", "attention_norm_cfg": {"type": "BN"}}),
    (PLUS, {"shared_projection": True}),
    (AUTOMIX, {}),
    (
        AUTOMIX,
        {
            "predicted": "partner",
            "lam_encoding": "none",
            "attention_norm_cfg": {"type": "GN", "num_groups": 1},
        },
    ),
    (AUTOMIX, {"predicted": "sum", "shared_projection": False, "upsampling": "bilinear"}),
]


def _block(kind: str = PLUS, **options: Any) -> MixBlock:
    """A block in training mode, without dropout unless asked for, whose parameters are far from their start."""
    torch.manual_seed(0)
    block = ROOT_MODELS.build({"type": kind, "in_channels": C, "dropout": 0.0} | options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in block.named_parameters():
            start = 0.4 if "lam_gamma" in name else 0.0
            if "lam_gamma" not in name:
                start = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(torch.as_tensor(start))
    return block.train()


def _inputs(
    rows: int = 5, images: int = 4, cells: tuple[int, int] = (4, 6)
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    maps = torch.randn(images, C, *cells, generator=generator)
    index = torch.randint(images, (rows,), generator=generator)
    partner = torch.randint(images, (rows,), generator=generator)
    return maps, index, partner, torch.rand(rows, generator=generator)


def _conv(conv: nn.Conv2d, x: Tensor) -> Tensor:
    return F.conv2d(x, conv.weight, conv.bias)


def _naive(
    block: MixBlock, maps: Tensor, index: Tensor, partner: Tensor, lam: Tensor, size: Any
) -> Tensor:
    """Encode λ by repeating and stacking, convolve each row, attend in a loop over rows."""
    name = type(block.encoding).__name__

    def encoded(rows: Tensor, share: Tensor) -> Tensor:
        z, share = maps[rows], share.view(-1, 1, 1, 1)
        if name == "ChannelLam":
            return torch.cat([z, share.expand(-1, 1, *z.shape[2:])], dim=1)
        gamma = {"AdaptiveLam": 0.4, "FixedLam": 1.0, "NoLam": 0.0}[name]
        return z * (1 + gamma * share)

    def logits(first: Tensor, second: Tensor, about: Tensor) -> Tensor:
        both = block.query.images == 2
        left = torch.cat([first, second], dim=1) if both else first
        right = torch.cat([first, second], dim=1) if both else second
        query = block.query_norm(_conv(block.query, left))
        if block.key is None:
            key = block.query_norm(_conv(block.query, right))
        else:
            key = block.key_norm(_conv(block.key, right))
        content = block.content_head(block.content_norm(_conv(block.content, about)))
        rows = []
        for q, k, c in zip(query.flatten(2), key.flatten(2), content.flatten(2), strict=True):
            attention = ((q.T @ k) / math.sqrt(len(q))).softmax(dim=-1)
            rows.append((attention @ c[0]).view(1, 1, *maps.shape[2:]))
        if block.upsampling == "nearest":
            return F.interpolate(torch.cat(rows), size=size, mode="nearest")
        return F.interpolate(torch.cat(rows), size=size, mode="bilinear", align_corners=False)

    i, j = encoded(index, lam), encoded(partner, 1 - lam)
    if block.predicted == "own":
        return logits(i, j, i).sigmoid()
    if block.predicted == "partner":
        return 1 - logits(i, j, j).sigmoid()
    stacked = [torch.cat(pair) for pair in ((i, j), (j, i))]
    mine, theirs = logits(stacked[0], stacked[1], stacked[0]).chunk(2)
    if block.predicted == "softmax":
        return torch.cat([mine, theirs], dim=1).softmax(dim=1)[:, :1]
    return mine.sigmoid() / (mine.sigmoid() + theirs.sigmoid())


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_blocks_equal_their_transcription(kind: str, options: dict) -> None:
    block, inputs = _block(kind, **options).double(), list(_inputs())
    inputs = [x.double() if x.is_floating_point() else x for x in inputs]
    before = [x.clone() for x in inputs]
    mask = block(*inputs, SIZE)
    assert mask.shape == (5, 1, *SIZE) and mask.dtype == torch.float64
    assert torch.allclose(mask, _naive(block, *inputs, SIZE), atol=1e-10)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))
    assert mask.std() > 0.01  # the comparison is not one of constants


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_gradients_equal_those_of_the_transcription(kind: str, options: dict) -> None:
    inputs = [x.double() if x.is_floating_point() else x for x in _inputs()]
    gradients = []
    for function in (
        lambda block: block(*inputs, SIZE),
        lambda block: _naive(block, *inputs, SIZE),
    ):
        block = _block(kind, **options).double()
        (function(block) ** 3).sum().backward()
        gradients.append({name: p.grad for name, p in block.named_parameters()})
    for name, gradient in gradients[0].items():
        assert gradient is not None, name
        if "lam_gamma" not in name:  # a constant in the transcription
            assert torch.allclose(gradient, gradients[1][name], atol=1e-9), name


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_blocks_against_finite_differences(kind: str, options: dict) -> None:
    block = _block(kind, **options).double()
    maps, index, partner, lam = _inputs(rows=2, images=2, cells=(2, 2))
    names, values = zip(*block.named_parameters(), strict=True)

    def loss(*parameters: Tensor) -> tuple[Tensor, ...]:
        call = (maps.double(), index, partner, lam.double(), (4, 4))
        mask = torch.func.functional_call(block, dict(zip(names, parameters, strict=True)), call)
        return mask, *block.mask_losses(mask, lam.double()).values()

    starts = [value.detach().clone().requires_grad_() for value in values]
    assert torch.autograd.gradcheck(loss, starts, atol=1e-5)


def test_defaults_are_the_papers() -> None:
    plus = ROOT_MODELS.build({"type": PLUS, "in_channels": 8})
    assert isinstance(plus, MixBlockPlus) and plus.layer == "layer3" and plus.adjust
    assert plus.encoding.lam_gamma == 0 and plus.encoding.lam_gamma.requires_grad
    assert plus.content.weight.shape == (4, 8, 1, 1) and plus.content.bias is None
    norm, (relu, conv, dropout) = plus.content_norm, plus.content_head
    assert isinstance(norm, nn.BatchNorm2d) and isinstance(relu, nn.ReLU)
    assert conv.weight.shape == (1, 4, 1, 1) and dropout.p == 0.1
    assert plus.query.weight.shape == plus.key.weight.shape == (4, 16, 1, 1)
    assert plus.key.bias is None and plus.upsampling == "bilinear"
    automix = ROOT_MODELS.build({"type": AUTOMIX, "in_channels": 8})
    assert automix.key is None and automix.query.weight.shape == (4, 9, 1, 1)
    assert automix.content.weight.shape == (1, 9, 1, 1) and automix.upsampling == "nearest"
    assert not automix.adjust


def test_initial_masks_are_undecided_and_weights_small() -> None:
    block = ROOT_MODELS.build({"type": PLUS, "in_channels": 64})
    block.init_weights()
    assert 0.005 < block.query.weight.std() < 0.015
    maps = torch.randn(4, 64, 4, 4, generator=torch.Generator().manual_seed(0))
    order = torch.arange(4)
    mask = block.eval()(maps, order, order.flip(0), torch.full((4,), 0.5), (8, 8))
    assert (mask - 0.5).abs().max() < 0.1


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_presets_build_and_can_be_changed(preset: str) -> None:
    cfg = {"type": "mixssl.preset_mix_block", "preset": preset, "in_channels": C}
    block = ROOT_MODELS.build(cfg)
    assert block.predicted == "partner" and not block.adjust
    assert ROOT_MODELS.build(cfg | {"predicted": "own"}).predicted == "own"
    assert block(*_inputs(), SIZE).isfinite().all()


def test_the_authors_samix() -> None:
    block = preset_mix_block("samix", C, dropout=0.0).double()
    maps, index, partner, lam = _inputs()
    mask = block(maps.double(), index, partner, lam.double(), SIZE)
    expected = _naive(block, maps.double(), index, partner, lam.double(), SIZE)
    assert torch.allclose(mask, expected, atol=1e-10)
    assert isinstance(block.content_head[0], nn.ELU) and block.variance_weight == 2


@pytest.mark.parametrize("predicted", ["sum", "softmax"])
@pytest.mark.parametrize("kind", [PLUS, AUTOMIX])
def test_both_predicted_masks_swap_with_the_images(kind: str, predicted: str) -> None:
    block, (maps, index, partner, lam) = _block(kind, predicted=predicted), _inputs()
    mask = block(maps, index, partner, lam, SIZE)
    swapped = block(maps, partner, index, 1 - lam, SIZE)
    assert torch.allclose(swapped, 1 - mask, atol=1e-5)


def test_an_image_mixed_with_itself_evenly_is_undecided_when_both_are_predicted() -> None:
    block, (maps, index, _, _) = _block(predicted="softmax"), _inputs()
    mask = block(maps, index, index, torch.full((5,), 0.5), SIZE)
    assert torch.allclose(mask, torch.full_like(mask, 0.5), atol=1e-6)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_masks_stay_in_range_at_the_ends_of_lam(kind: str, options: dict) -> None:
    maps, index, partner, _ = _inputs()
    for lam in (0.0, 1.0):
        mask = _block(kind, **options)(maps * 100, index, partner, torch.full((5,), lam), SIZE)
        assert mask.isfinite().all() and mask.min() >= 0 and mask.max() <= 1, lam


def test_a_gamma_of_0_makes_masks_blind_to_lam_and_another_does_not() -> None:
    block, (maps, index, partner, lam) = _block().eval(), _inputs()
    with torch.no_grad():
        seeing = [block(maps, index, partner, share, SIZE) for share in (lam, 1 - lam)]
        block.encoding.lam_gamma.zero_()
        blind = [block(maps, index, partner, share, SIZE) for share in (lam, 1 - lam)]
    assert torch.equal(*blind)
    assert not torch.allclose(*seeing, atol=1e-3)


def test_gamma_is_put_back_into_its_range_and_can_leave_the_edge() -> None:
    block, inputs = _block(), _inputs()
    for outside, edge in ((-0.5, 0.0), (1.5, 1.0)):
        block.encoding.lam_gamma.data.fill_(outside)
        block.zero_grad()
        block(*inputs, SIZE).square().sum().backward()
        assert block.encoding.lam_gamma == edge
        assert block.encoding.lam_gamma.grad.abs() > 0


def test_two_passes_before_one_backward() -> None:
    block, (maps, index, partner, lam) = _block(), _inputs()
    losses = [block(maps, index, partner, share, SIZE).sum() for share in (lam, 1 - lam)]
    sum(losses).backward()
    assert block.encoding.lam_gamma.grad.isfinite()


def test_a_row_reads_only_its_two_images() -> None:
    block, (maps, index, partner, lam) = _block().eval(), _inputs()
    others = [i for i in range(4) if i not in (int(index[0]), int(partner[0]))]
    changed = maps.clone()
    changed[others] += 1
    assert torch.equal(
        block(maps, index, partner, lam, SIZE)[0], block(changed, index, partner, lam, SIZE)[0]
    )


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_small_batches_and_maps(kind: str, options: dict, subtests: pytest.Subtests) -> None:
    for rows, cells in itertools.product((1, 2), ((1, 1), (1, 3), (3, 2))):
        with subtests.test(f"{rows} rows of {cells} cells"):
            _check_small(kind, options, rows, cells)


def _check_small(kind: str, options: dict, rows: int, cells: tuple[int, int]) -> None:
    block, inputs = _block(kind, **options), _inputs(rows, rows, cells)
    mask = block(*inputs, (7, 5))
    assert mask.shape == (rows, 1, 7, 5) and mask.isfinite().all()
    sum(block.mask_losses(mask, inputs[3]).values()).backward()
    gradients = [p.grad for p in block.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_tokens_give_the_masks_of_their_map() -> None:
    block, (maps, index, partner, lam) = _block(), _inputs()
    tokens = torch.cat([torch.ones(4, 1, C), maps.flatten(2).transpose(1, 2)], dim=1)
    size = (64, 96)
    expected = block(maps, index, partner, lam, size)
    assert torch.allclose(block(tokens, index, partner, lam, size), expected, atol=1e-6)
    with pytest.raises(ValueError, match="fit no grid"):
        block(torch.zeros(4, 40, C), index, partner, lam, (4, 64))


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_features_that_are_not_finite_leave_masks_and_gradients_finite(
    kind: str, options: dict, subtests: pytest.Subtests
) -> None:
    dtypes = (torch.float16, torch.bfloat16, torch.float32)
    for autocast, dtype in itertools.product((None, torch.bfloat16, torch.float16), dtypes):
        with subtests.test(f"{dtype}, autocast {autocast}"):
            _check_not_finite(kind, options, autocast, dtype)


def _check_not_finite(
    kind: str, options: dict, autocast: torch.dtype | None, dtype: torch.dtype
) -> None:
    block, (maps, index, partner, lam) = _block(kind, **options), _inputs()
    clean = maps.clone()
    maps[0, 0, 0, 0], maps[1, 1, 1, 1], maps[2] = float("nan"), float("inf"), -float("inf")
    clean[0, 0, 0, 0], clean[1, 1, 1, 1], clean[2] = 0, 0, 0
    with torch.autocast("cpu", autocast or torch.bfloat16, enabled=autocast is not None):
        mask = block(maps.to(dtype), index, partner, lam, SIZE)
        expected = block(clean.to(dtype), index, partner, lam, SIZE)
        total = sum(block.mask_losses(mask, lam).values()) + mask.square().mean()
    total.backward()
    assert mask.dtype == torch.float32 and mask.isfinite().all()
    assert torch.equal(mask, expected)
    assert all(p.grad.isfinite().all() for p in block.parameters())


@pytest.mark.parametrize("size", [65504.0, 1e30])
def test_huge_features_leave_masks_and_gradients_finite(size: float) -> None:
    block, (maps, index, partner, lam) = _block(), _inputs()
    mask = block(maps.sign() * size, index, partner, lam, SIZE)
    mask.square().mean().backward()
    assert mask.isfinite().all()
    assert all(p.grad.isfinite().all() for p in block.parameters())


def test_saturated_masks_are_normalised_without_0_by_0() -> None:
    block, inputs = _block(predicted="sum"), _inputs()
    with torch.no_grad():
        block.content_head[1].bias.fill_(-500.0)
    mask = block(*inputs, SIZE)
    mask.sum().backward()
    assert mask.isfinite().all() and mask.std() > 0.01
    assert all(p.grad.isfinite().all() for p in block.parameters())


def test_dropout_is_off_in_evaluation() -> None:
    block, inputs = _block(dropout=0.5), _inputs()
    assert not torch.equal(block(*inputs, SIZE), block(*inputs, SIZE))
    block.eval()
    assert torch.equal(block(*inputs, SIZE), block(*inputs, SIZE))


def test_mask_losses_by_hand() -> None:
    block = _block()
    mask = torch.tensor([[0.2, 0.6], [0.5, 0.5], [1.0, 0.0]]).view(3, 1, 1, 2)
    losses = block.mask_losses(mask, torch.tensor([0.7, 0.55, 0.2]))
    # means .4, .5, .5 miss λ by .3, .05, .3, of which .1 is free; variances .04, 0, .25.
    assert losses["loss_mask_mean"] == pytest.approx(0.1 * (0.2 + 0 + 0.2) / 3)
    assert losses["loss_mask_var"] == pytest.approx(-0.1 * (0.04 + 0 + 0.25) / 3)


def test_mask_losses_equal_their_transcription_and_can_be_reweighed() -> None:
    block = _block(mask_weight=0.3, mask_margin=0.02, variance_weight=2.0)
    lam = torch.tensor([0.1, 0.8, 0.4])
    mask = torch.rand(3, 1, 4, 5, generator=torch.Generator().manual_seed(0))
    mean, variance = 0.0, 0.0
    for row, share in zip(mask, lam, strict=True):
        mean += max(abs(float(share - row.mean())) - 0.02, 0.0) / 3
        variance += float(((row - row.mean()) ** 2).mean()) / 3
    losses = block.mask_losses(mask, lam)
    assert losses["loss_mask_mean"] == pytest.approx(0.3 * mean, rel=1e-5)
    assert losses["loss_mask_var"] == pytest.approx(-0.3 * 2 * variance, rel=1e-5)
    assert set(_block(AUTOMIX).mask_losses(mask, lam)) == {"loss_mask_mean"}


def test_a_block_trained_on_its_losses_leaves_the_constant_mask_and_meets_lam() -> None:
    block = _block(mask_margin=0.0)
    block.init_weights()
    maps, index, partner, lam = _inputs(rows=8)
    lam = torch.full_like(lam, 0.3)
    optimizer = torch.optim.Adam(block.parameters(), lr=0.03)
    stds = []
    for _ in range(60):
        mask = block(maps, index, partner, lam, SIZE)
        losses = block.mask_losses(mask, lam)
        optimizer.zero_grad()
        (losses["loss_mask_mean"] + losses["loss_mask_var"]).backward()
        optimizer.step()
        stds.append(float(mask.detach().std()))
    assert stds[0] < 0.001 < 0.01 < stds[-1]
    assert (mask.detach().mean(dim=(1, 2, 3)) - 0.3).abs().max() < 0.02


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lam_encoding": "sum"}, "lam_encoding is 'sum' and must be one of 'adaptive'"),
        ({"upsampling": "bicubic"}, "upsampling is 'bicubic' and must be one of"),
        ({"predicted": "both"}, "predicted is 'both' and must be one of"),
    ],
)
def test_options_that_do_not_exist(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MixBlockPlus(C, **options)
    with pytest.raises(ValueError, match="preset is 'none' and must be one of 'automix'"):
        preset_mix_block("none", C)


def test_the_wrong_number_of_channels_names_the_layer() -> None:
    _, index, partner, lam = _inputs()
    with pytest.raises(
        ValueError, match="has in_channels=6 and 'layer3' gives 7: set in_channels=7"
    ):
        _block()(torch.zeros(4, 7, 2, 2), index, partner, lam, SIZE)
