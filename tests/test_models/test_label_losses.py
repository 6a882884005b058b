"""Losses of a mixture of two labels, by hand."""

from __future__ import annotations

import pytest
import torch
from mmpretrain.models import LinearClsHead
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.classifiers.label_losses import LABEL_LOSSES, Judged, mixed_label_loss
from mixssl.structures import MixedView

LOG3 = torch.tensor(3.0).log()


def _head(weight: Tensor) -> LinearClsHead:
    head = LinearClsHead(num_classes=len(weight), in_channels=weight.shape[1])
    head.fc.weight.data, head.fc.bias.data = weight, torch.zeros(len(weight))
    return head


def _judged(lam: list[float], classes: tuple[int, int] = (0, 1), **changes: Tensor) -> Judged:
    """One mixture, of images 0 and 1, whose logits are log 3, 0 and log 4."""
    weight = torch.tensor([[LOG3, 0.0], [0.0, 0.0], [0.0, torch.tensor(4.0).log()]])
    rows = torch.zeros(len(lam), dtype=torch.int64)
    mixture = MixedView(None, 0, 0, rows, rows + 1, torch.tensor(lam))
    feats = (torch.ones(len(lam), 2),)
    return Judged(_head(weight), feats, torch.tensor(classes), mixture, **changes)


def test_cross_entropy_with_the_mixed_label() -> None:
    p = torch.tensor([3.0, 1.0, 4.0]) / 8
    expected = -(0.25 * p[0].log() + 0.75 * p[1].log())
    assert torch.allclose(LABEL_LOSSES["ce"](_judged([0.25])), expected)
    pure = torch.stack([mixed_label_loss(_judged([lam])) for lam in (1.0, 0.0)])
    assert torch.allclose(pure, -p[:2].log())


def test_between_two_classes_the_third_does_not_count() -> None:
    # Of 3 : 1 the first has 3/4.
    expected = -(0.25 * torch.tensor(0.75).log() + 0.75 * torch.tensor(0.25).log())
    assert torch.allclose(LABEL_LOSSES["pbce"](_judged([0.25])), expected)
    lowest = LABEL_LOSSES["pbce"](_judged([0.75]))
    entropy = -(0.75 * torch.tensor(0.75).log() + 0.25 * torch.tensor(0.25).log())
    assert torch.allclose(lowest, entropy), "the logits' ratio is the share"


def test_between_equal_classes_there_is_nothing_to_learn() -> None:
    judged = _judged([0.25, 0.9], classes=(1, 1))
    loss = LABEL_LOSSES["pbce"](judged)
    assert torch.allclose(loss, torch.tensor(2.0).log())
    loss.backward()
    assert not judged.head.fc.weight.grad.any()


def test_between_two_images() -> None:
    clean = torch.tensor([[2.0, 2.0], [5.0, 0.0]])  # cosines with the mixture: 1 and √½
    judged = _judged([0.25], clean=clean, temperature=0.5)
    p = (torch.tensor([1.0, 0.5**0.5]) / 0.5).softmax(0)
    assert torch.allclose(LABEL_LOSSES["bce"](judged), -(0.25 * p[0].log() + 0.75 * p[1].log()))


@pytest.mark.parametrize("name", LABEL_LOSSES)
def test_the_mean_over_rows(name: str) -> None:
    clean = torch.eye(2)
    both = LABEL_LOSSES[name](_judged([0.25, 0.9], clean=clean))
    apart = [LABEL_LOSSES[name](_judged([lam], clean=clean)) for lam in (0.25, 0.9)]
    assert torch.allclose(both, torch.stack(apart).mean())


def test_the_weight_of_the_heads_loss_counts() -> None:
    judged = _judged([0.25])
    judged.head.loss_module.loss_weight = 2.0
    assert torch.allclose(mixed_label_loss(judged), 2 * mixed_label_loss(_judged([0.25])))
    scores = F.one_hot(judged.targets, 3).float()
    assert torch.allclose(
        mixed_label_loss(judged._replace(targets=scores)), mixed_label_loss(judged)
    )
