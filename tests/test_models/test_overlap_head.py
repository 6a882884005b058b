"""OverlapHead, PatchMix and SDMP: labels and losses of both papers, by their worked numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from support.methods_more import mocov3, mocov3_vit, run_length
from support.tiny import build, moco, views
from torch import Tensor
from torch.testing import assert_close

from mixssl.mixing import SDMP, MixCo, PatchMix
from mixssl.models.heads import OverlapHead
from mixssl.models.losses import overlap_shares, soft_info_nce
from mixssl.structures import EmbeddingId


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dense(index: Tensor, partner: Tensor, lam: Tensor) -> Tensor:
    """The definition, by loops over mixtures and images."""
    shares = torch.zeros(len(index), int(max(index.max(), partner.max())) + 1, dtype=lam.dtype)
    for row in range(len(index)):
        shares[row, index[row]] += lam[row]
        shares[row, partner[row]] += 1 - lam[row]
    overlap = torch.stack([torch.minimum(row, shares).sum(1) for row in shares])
    return overlap / overlap.sum(1, keepdim=True)


class TestShares:
    def test_sdmp(self) -> None:
        lam, rows = torch.tensor([0.7, 0.4, 0.3, 0.8]), torch.arange(4)
        found = overlap_shares(rows, rows.flip(0), lam)
        assert_close(
            found.diagonal(), torch.tensor([0.666667, 0.588235, 0.588235, 0.666667]), **CLOSE
        )
        common = found[rows, rows.flip(0)] / found.diagonal()
        assert_close(common, torch.tensor([0.5, 0.7, 0.7, 0.5]), **CLOSE)

    @pytest.mark.parametrize(
        ("size", "lam", "row"),
        [
            (4, 1 / 2, [0.5, 0.25, 0, 0.25]),
            (3, 1 / 2, [0.5, 0.25, 0.25]),
            (2, 1 / 2, [0.5, 0.5]),
            (4, 5 / 9, [0.529412, 0.235294, 0, 0.235294]),
        ],
    )
    def test_patchmix(self, size: int, lam: float, row: list[float]) -> None:
        rows = torch.arange(size)
        found = overlap_shares(rows, rows.roll(-1), torch.full((size,), lam))
        assert_close(found[0], torch.tensor(row), **CLOSE)

    def test_any_partner(self) -> None:
        torch.manual_seed(0)
        index, partner = torch.randint(5, (2, 7))
        index[0] = partner[0] = 3
        lam = torch.rand(7, dtype=torch.float64)
        assert_close(overlap_shares(index, partner, lam), dense(index, partner, lam))


CLOSE = {"atol": 1e-6, "rtol": 0}


def test_the_logarithm_of_a_sum_and_the_sum_of_logarithms() -> None:
    torch.manual_seed(0)
    blocks = [torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 5, dtype=torch.float64)]
    positives = torch.tensor([[0, 1], [1, 3], [2, 2]])
    shares = torch.tensor([[0.3, 0.7], [1.0, 0.0], [0.5, 0.5]], dtype=torch.float64)
    probability = torch.cat(blocks, dim=1).softmax(dim=1).gather(1, positives)
    cross = -(shares * probability.log()).sum(1)
    assert_close(soft_info_nce(blocks, positives, shares), cross)
    found = soft_info_nce(blocks, positives, shares, log_of_sum=True)
    assert_close(found, -(shares * probability).sum(1).log())
    assert (found <= cross + 1e-12).all() and found[0] < cross[0]


QUERY = torch.tensor([[1, 0], [0, 1], [0.6, 0.8], [0.8, -0.6]])
KEYS = torch.tensor([[0.8, 0.6], [0, 1], [1, 0], [0.6, -0.8]])


@pytest.mark.parametrize(
    ("lam", "order", "factor", "mix_clean", "mix_mix", "log_of_sum"),
    [
        ([0.7, 0.4, 0.3, 0.8], [3, 2, 1, 0], 0.4, 0.749953, 0.733326, False),
        ([0.7, 0.4, 0.3, 0.8], [3, 2, 1, 0], 0.4, 0.476115, 0.483594, True),
        ([0.5, 0.5, 0.5, 0.5], [1, 2, 3, 0], 1.0, 3.154884, 2.279884, False),
    ],
)
def test_worked_numbers(
    lam: list, order: list, factor: float, mix_clean: float, mix_mix: float, log_of_sum: bool
) -> None:
    """SDMP's two forms, with its factor of 2τ, and PatchMix."""
    rows, partner, share = torch.arange(4), torch.tensor(order), torch.tensor(lam)
    logits = [QUERY @ KEYS.t() / 0.2]
    images, shares = torch.stack([rows, partner], 1), torch.stack([share, 1 - share], 1)
    found = factor * soft_info_nce(logits, images, shares, log_of_sum).mean()
    assert found.item() == pytest.approx(mix_clean, abs=1e-5)
    overlap = overlap_shares(rows, partner, share)
    found = factor * soft_info_nce(logits, rows.expand(4, -1), overlap, log_of_sum).mean()
    assert found.item() == pytest.approx(mix_mix, abs=1e-5)


class TestPatchMix:
    def test_pixels(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for size, side, order, wanted in (
            (3, 2, [2, 0, 3, 1], [[10, 21, 12, 23], [20, 31, 22, 33], [30, 11, 32, 13]]),
            (4, 3, [4, 0, 8, 3, 6, 1, 7, 5, 2], [[10, 21, 12, 13, 14, 25, 26, 27, 18]]),
        ):
            monkeypatch.setattr(
                torch, "randperm", lambda *_, order=order, **__: torch.tensor(order)
            )
            patches = 10.0 * torch.arange(1, size + 1)[:, None] + torch.arange(side**2)
            images = patches.view(size, 1, side, side)
            images = images.repeat_interleave(2, -1).repeat_interleave(2, -2)
            (mixture,) = PatchMix(patch=2, views=(0,))([images], generator())
            assert mixture.images is not None and mixture.mask is not None
            found = mixture.images[:, 0, ::2, ::2].flatten(1)
            assert found[: len(wanted)].tolist() == wanted
            assert_close(mixture.mask.mean(dim=(1, 2, 3)), mixture.lam)
            assert mixture.lam[0] == pytest.approx(1 / 2 if side == 2 else 5 / 9)

    def test_views_share_partners_and_not_patches(self) -> None:
        images = torch.randn(4, 3, 16, 16)
        first, second = PatchMix(patch=4)([images, images], generator())
        assert torch.equal(first.partner, second.partner)
        assert torch.equal(first.lam, second.lam)
        assert not torch.equal(first.mask, second.mask)

    @pytest.mark.parametrize(
        ("patch", "match"), [(0, "at least 1 pixel"), (5, "must divide both"), (8, "2 patches")]
    )
    def test_what_does_not_fit(self, patch: int, match: str) -> None:
        with pytest.raises(ValueError, match=match):
            PatchMix(patch=patch)([torch.zeros(2, 3, 8, 8)] * 2, generator())


class TestSDMP:
    @pytest.mark.parametrize("kind", ["mixup", "cutmix", "resizemix"])
    def test_both_views_alike(self, kind: str) -> None:
        views = [torch.randn(8, 3, 20, 20), torch.randn(8, 3, 20, 20)]
        first, second = SDMP(kinds=(kind,))(views, generator())
        assert torch.equal(first.lam, second.lam) and first.lam.unique().numel() > 2
        assert torch.equal(first.partner, torch.arange(8).flip(0))
        assert first.lam.min() >= 0.1 and first.lam.max() <= 1
        for view, mixture in zip(views, (first, second), strict=True):
            assert mixture.images is not None and mixture.mask is not None
            assert_close(mixture.mask.mean(dim=(1, 2, 3)), mixture.lam)
            if kind == "resizemix":
                inside = mixture.mask.bool().expand_as(view)
                assert torch.equal(mixture.images[inside], view[inside])
            else:
                wanted = mixture.mask * view + (1 - mixture.mask) * view.flip(0)
                assert_close(mixture.images, wanted)
        if kind != "mixup":
            assert first.boxes is not None and second.boxes is not None
            assert not torch.equal(first.boxes, second.boxes)
            assert first.boxes.min() >= 0 and first.boxes.max() <= 20

    def test_every_kind_is_drawn(self) -> None:
        views = [torch.randn(4, 3, 8, 8)] * 2
        found = [SDMP()(views, generator(seed))[0] for seed in range(40)]
        blended = sum(mixture.boxes is None for mixture in found)
        assert 4 < blended < 25
        with pytest.raises(ValueError, match="must be some of mixup, cutmix, resizemix"):
            SDMP(kinds="fmix")


class TestHead:
    def test_terms(self) -> None:
        mixtures = PatchMix(patch=4)([torch.randn(4, 3, 8, 8)] * 2, generator())
        clean, mixed = OverlapHead(loss_weight=2.0).terms(mixtures, 2)
        assert (clean.online, clean.target) == (EmbeddingId(3), EmbeddingId(0))
        assert (mixed.online, mixed.target) == (EmbeddingId(3), EmbeddingId(2))
        assert clean.weight == mixed.weight == 1.0
        assert clean.positives.tolist() == [[0, 1], [1, 2], [2, 3], [3, 0]]
        assert_close(mixed.shares.sum(1), torch.ones(4))
        both = OverlapHead(symmetric=True, mix_clean=0.0).terms(mixtures, 2)
        assert [(term.online.view, term.target.view) for term in both] == [(3, 2), (2, 3)]
        (alone,) = OverlapHead(mix_mix=0.0).terms(mixtures, 2)
        assert alone.target == EmbeddingId(0)

    def test_what_does_not_fit(self) -> None:
        with pytest.raises(ValueError, match=r"must be >= 0, one of them > 0"):
            OverlapHead(mix_clean=0.0, mix_mix=0.0)
        with pytest.raises(ValueError, match="must be one of"):
            OverlapHead(loss="log")
        with pytest.raises(ValueError, match=r"set views=\(0, 1\)"):
            OverlapHead().check_mixer(PatchMix(views=(0,)))
        with pytest.raises(ValueError, match="laid out as"):
            OverlapHead().check_mixer(MixCo(views=(0, 1)))


def unit(rows: Tensor) -> Tensor:
    rows = rows.double()
    return rows / rows.norm(dim=1, keepdim=True)


def soft(probability: Tensor, shares: Tensor, log_of_sum: bool) -> Tensor:
    if log_of_sum:
        return -(shares * probability).sum(1).log().mean()
    return -(shares * probability.log()).sum(1).mean()


@pytest.mark.parametrize("log_of_sum", [False, True])
@pytest.mark.parametrize(
    "mixer", [{"type": "mixssl.SDMP"}, {"type": "mixssl.PatchMix", "patch": 4}]
)
@pytest.mark.parametrize("config", [mocov3, mocov3_vit, moco])
def test_a_step_against_a_transcription(config, mixer: dict, log_of_sum: bool) -> None:  # type: ignore[no-untyped-def]
    loss = "log_of_sum" if log_of_sum else "soft_cross_entropy"
    head = {"type": "mixssl.OverlapHead", "loss": loss, "mix_clean": 0.5, "mix_mix": 0.25}
    with run_length():
        model = build(config(mixer=mixer, mix_head=head, symmetric=False))
        x = views()
        mixtures = model.mixer(x, generator(1))
        twin = copy.deepcopy(model)
        losses = model(x, mode="loss", mixtures=mixtures)
        twin.update_momentum()
    encoder = twin.encoder_k if config is moco else twin.momentum_encoder
    factor, negatives = (1.0, twin.queue.t().double()) if config is moco else (0.4, None)
    with torch.no_grad():
        clean, mixed = (unit(encoder(images)[0]) for images in (x[0], mixtures[0].images))
    twin.neck(twin.backbone(x[0]))
    query = twin.neck(twin.backbone(mixtures[1].images))[0]
    query = unit(query if config is moco else twin.head.predictor([query])[0])
    lam, rows = mixtures[1].lam.double(), torch.arange(len(x[0]))
    own = torch.zeros(len(rows), len(rows), dtype=torch.float64)
    own[rows, mixtures[1].index] += lam
    own[rows, mixtures[1].partner] += 1 - lam
    expected = 0.0
    for weight, keys, shares in (
        (0.5, clean, own),
        (0.25, mixed, dense(mixtures[1].index, mixtures[1].partner, lam)),
    ):
        candidates = keys if negatives is None else torch.cat([keys, negatives])
        probability = (query @ candidates.t() / 0.2).softmax(dim=1)[:, : len(rows)]
        expected = expected + factor * weight * soft(probability, shares, log_of_sum)
    assert_close(losses["loss_mix"].double(), expected, atol=1e-5, rtol=1e-5)
    assert set(losses) == {"loss_clean", "loss_mix"}


def test_asymmetric_moco_v3_is_half_of_the_parents_loss() -> None:
    with run_length():
        head = {"type": "mixssl.OverlapHead"}
        model = build(mocov3(mixer={"type": "mixssl.SDMP"}, mix_head=head, symmetric=False))
        x, twin = views(), copy.deepcopy(model)
        loss = model(x, mode="loss")["loss_clean"]
        assert len(build(mocov3(symmetric=False)).clean_terms(2)) == 2
        twin.update_momentum()
        with torch.no_grad():
            key = twin.momentum_encoder(x[1])[0]
        assert_close(loss, twin.head.loss(twin.neck(twin.backbone(x[0]))[0], key))
