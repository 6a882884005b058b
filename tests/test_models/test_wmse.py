"""MixWMSE against a naive transcription of W-MSE and of Un-Mix on top of it."""

from __future__ import annotations

import copy

import pytest
import torch
from mmengine.optim import OptimWrapper
from support.methods_more import wmse
from support.naive_whitening import naive_whiten
from support.tiny import build, preprocessor, sgd, total, train, views
from torch import Tensor

from mixssl.mixing import global_mixture, region_mixture
from mixssl.structures import MixedView

UNMIX = {"type": "mixssl.UnMix"}


def _naive_pair(one: Tensor, other: Tensor, orders: Tensor, w_size: int) -> Tensor:
    """W-MSE of two views: whitens group by group, distances row by row."""
    losses = []
    for order in orders:
        for group in order.split(w_size):
            a, b = naive_whiten(one[group]), naive_whiten(other[group])
            losses += [
                ((u / u.norm() - v / v.norm()) ** 2).sum() for u, v in zip(a, b, strict=True)
            ]
    return torch.stack(losses).mean()


def _embed(model: torch.nn.Module, images: list[Tensor]) -> list[Tensor]:
    """Views through the backbone one by one and through the neck together."""
    maps = torch.cat([model.backbone(x)[0] for x in images])
    return list(model.neck((maps,))[0].chunk(len(images)))


def _mixture(kind: str, x: Tensor, source: int = 0) -> MixedView:
    if kind == "global":
        return global_mixture(x, source, torch.tensor([0.3]))
    return region_mixture(x, source, torch.tensor([1 - 56 / 256]), torch.tensor([[3, 2, 11, 9]]))


def _peek(model: torch.nn.Module, batch: int) -> Tensor:
    """The orders that the next step will draw."""
    return copy.deepcopy(model)._draw_orders(batch)


@pytest.mark.parametrize(
    ("count", "w_size", "w_iter"), [(2, 8, 1), (2, 16, 1), (4, 8, 1), (2, 8, 3), (2, None, 1)]
)
def test_the_clean_loss_averages_over_pairs_orders_and_rows(
    count: int, w_size: int | None, w_iter: int
) -> None:
    model, x = build(wmse(w_size=w_size, w_iter=w_iter)), views(16, count=count)
    twin, orders = copy.deepcopy(model), _peek(model, 16)
    losses = model(x, mode="loss")
    assert set(losses) == {"loss_clean"}
    embeddings = _embed(twin, x)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    expected = sum(
        _naive_pair(embeddings[i], embeddings[j], orders, w_size or 16) for i, j in pairs
    ) / len(pairs)
    assert losses["loss_clean"].item() == pytest.approx(expected.item(), abs=1e-5)
    total(losses).backward()
    expected.backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        scale = b.grad.abs().max().clamp_min(1e-2)
        assert (a.grad - b.grad).abs().max() <= 1e-3 * scale, name


@pytest.mark.parametrize("w_size", [8, 16])
@pytest.mark.parametrize("kind", ["global", "region"])
def test_with_unmix_the_loss_is_that_of_the_mixture_and_of_its_reverse(
    kind: str, w_size: int
) -> None:
    model, x = build(wmse(mixer=UNMIX, w_size=w_size)), views(16)
    mixed = _mixture(kind, x[0])
    twin, orders = copy.deepcopy(model), _peek(model, 16)
    losses = model(x, mode="loss", mixtures=[mixed])
    assert set(losses) == {"loss_clean", "loss_mix"}
    other = _embed(twin, x)[1]
    (forth,) = _embed(copy.deepcopy(twin), [mixed.images])
    (back,) = _embed(twin, [mixed.images.flip(0)])
    # The reversed mixture meets the same rows of the other view where the order is mirrored as well.
    mirrored = 15 - orders
    lam = mixed.lam[0]
    expected = lam * _naive_pair(forth, other, orders, w_size)
    expected = expected + (1 - lam) * _naive_pair(back, other, mirrored, w_size)
    assert losses["loss_mix"].item() == pytest.approx(expected.item(), abs=1e-5)


def test_reordering_whitened_rows_would_be_another_loss() -> None:
    model, x = build(wmse(mixer=UNMIX)), views(16)
    mixed = global_mixture(x[0], 0, torch.tensor([0.0]))
    twin, orders = copy.deepcopy(model), _peek(model, 16)
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    other = _embed(twin, x)[1]
    (own,) = _embed(twin, [mixed.images])
    (order,) = orders
    white = [torch.empty(16, 4).double() for _ in range(2)]
    for z, h in zip(white, (own, other), strict=True):
        for group in order.split(8):
            z[group] = naive_whiten(h[group])
    a, b = (torch.nn.functional.normalize(z) for z in (white[0], white[1].flip(0)))
    late = ((a - b) ** 2).sum(1).mean()
    assert abs(got.item() - late.item()) > 1e-3


def test_the_mixtures_comparisons_are_averaged_over_the_views() -> None:
    model, x = build(wmse(mixer=UNMIX)), views(8, count=4)
    mixed = _mixture("global", x[0])
    twin, orders = copy.deepcopy(model), _peek(model, 8)
    got = model(x, mode="loss", mixtures=[mixed])["loss_mix"]
    others = _embed(twin, x)[1:]
    (own,) = _embed(twin, [mixed.images])
    lam = mixed.lam[0]
    expected = sum(
        lam * _naive_pair(own, z, orders, 8) + (1 - lam) * _naive_pair(own, z.flip(0), orders, 8)
        for z in others
    )
    assert got.item() == pytest.approx(expected.item() / 3, abs=1e-5)


def test_both_branches_add_the_loss_of_the_mixtures() -> None:
    mixer = UNMIX | {"views": (0, 1)}
    model, x = (
        build(wmse(mixer=mixer, mix_head={"type": "mixssl.UnMixHead", "pairing": "mixed"})),
        views(8),
    )
    mixtures = [_mixture("region", x[0], 0), _mixture("region", x[1], 1)]
    twin, orders = copy.deepcopy(model), _peek(model, 8)
    got = model(x, mode="loss", mixtures=mixtures)["loss_mix"]
    (one,), (other,) = (_embed(twin, [mixture.images]) for mixture in mixtures)
    assert got.item() == pytest.approx(_naive_pair(one, other, orders, 8).item(), abs=1e-5)


def test_lam_one_is_the_unmixed_loss() -> None:
    model, x = build(wmse(mixer=UNMIX)), views(8)
    model.neck.bn0.eval()  # the clean views share a batch in the neck, the mixture has one of its own
    losses = model(x, mode="loss", mixtures=[global_mixture(x[0], 0, torch.ones(1))])
    assert losses["loss_mix"].item() == pytest.approx(losses["loss_clean"].item(), abs=1e-5)


@pytest.mark.parametrize("count", [2, 4])
def test_three_steps_train_and_repeat(count: int) -> None:
    histories = []
    for _ in range(2):
        model = build(wmse(mixer=UNMIX))
        before = [p.detach().clone() for p in model.parameters()]
        wrapper = OptimWrapper(sgd(model))
        data = [
            {"inputs": views(16, seed=step, count=count), "data_samples": None} for step in range(3)
        ]
        histories.append(torch.stack([model.train_step(batch, wrapper)["loss"] for batch in data]))
        moved = [not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True)]
        # The bias before whitening is taken off again by the mean.
        names = [
            name for (name, _), did in zip(model.named_parameters(), moved, strict=True) if not did
        ]
        assert set(names) <= {"neck.fc1.bias"}
    assert histories[0].isfinite().all()
    assert torch.equal(*histories)


def test_each_step_draws_other_orders_and_a_restored_model_goes_on_with_them() -> None:
    model = build(wmse(mixer=UNMIX, w_iter=2))
    first = _peek(model, 16)
    assert not torch.equal(first[0], first[1])
    train(model, 2, batch=16)
    assert not torch.equal(first, _peek(model, 16))
    restored = build(wmse(mixer=UNMIX, w_iter=2, seed=7), seed=5)
    restored.load_state_dict(model.state_dict())
    a, b = (torch.stack(train(one, 2, batch=16)) for one in (model, restored))
    assert torch.equal(a, b)


# -- refusing ---------------------------------------------------------------------------------------------------------


def test_a_batch_that_does_not_divide_is_refused() -> None:
    model = build(wmse())
    with pytest.raises(
        ValueError, match="w_size of MixWMSE is 8 and must divide the batch of 12 .*drop_last"
    ):
        model(views(12), mode="loss")
    assert model.orders.step.item() == 0


@pytest.mark.parametrize("w_size", [4, 3])
def test_a_group_no_larger_than_the_embedding_is_refused_at_build_time(w_size: int) -> None:
    with pytest.raises(
        ValueError, match=f"w_size is {w_size} and must be larger than the embedding's size 4"
    ):
        build(wmse(w_size=w_size))
    losses = build(wmse(w_size=w_size, eps=1e-2))(views(12), mode="loss")
    assert losses["loss_clean"].isfinite()


def test_a_whole_batch_no_larger_than_the_embedding_is_refused() -> None:
    with pytest.raises(
        ValueError, match="w_size is 4 and must be larger than the embedding's size 4"
    ):
        build(wmse(w_size=None))(views(4), mode="loss")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w_size": 1}, "w_size .* 1 and"),
        ({"w_iter": 0}, "w_iter .* 0 and"),
        ({"eps": 1.0}, "eps .* 1.0 and"),
    ],
)
def test_arguments_out_of_range_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(wmse(**change))


def test_a_lam_per_image_is_refused() -> None:
    from mixssl.mixing import UnMix

    class PerImage(UnMix):
        shared_lam = False

    with pytest.raises(
        ValueError, match="PerImage draws a λ per image and the loss of MixWMSE does not decompose"
    ):
        build(
            wmse(data_preprocessor=preprocessor(PerImage()), mix_head={"type": "mixssl.UnMixHead"})
        )
