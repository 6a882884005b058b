"""Linear probes on features that were extracted once."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor
from torch.optim.lr_scheduler import ExponentialLR

from mixssl.utils.progress import tracked

LR_FALL = 1e4
"""The protocol's first learning rate over its last."""


class LinearProbe(NamedTuple):
    """A linear classifier of features.

    Attributes:
        weight: (classes, D), float32.
        bias: (classes,), float32.
        mean: Subtracted from the features first, (D,).
        std: Divides them then, (D,).
    """

    weight: Tensor
    bias: Tensor
    mean: Tensor
    std: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """Logits, (N, classes), of features (N, D), on their device."""
        scaled = _scale(features, self.mean, self.std)
        return F.linear(scaled, self.weight, self.bias).to(features.device)

    def predict(self, features: Tensor) -> Tensor:
        """Classes, (N,), int64, of features (N, D), on their device."""
        return self.scores(features).argmax(1)


def fit_linear_probe(
    features: Tensor,
    labels: Tensor | None,
    epochs: int = 500,
    batch_size: int = 1000,
    lr: float = 1e-2,
    lr_end: float = 1e-6,
    weight_decay: float = 5e-6,
    standardize: bool = False,
    seed: int = 0,
) -> LinearProbe:
    """Train a linear classifier with Adam on cached features.

    The protocol of the W-MSE repository, which Un-Mix follows on small data sets: the learning rate falls exponentially
    by the epoch from ``lr`` towards ``lr_end``, weight decay is an L2 term in the gradient. Differences: weights start
    at zero (the problem is convex; nothing has to be drawn), and the last batch of an epoch may be smaller.

    Args:
        features: (N, D), float; the device they lie on computes.
        labels: (N,), int64, >= 0.
        epochs: Passes over the features.
        batch_size: Features per step; the protocol takes 1000 on every data set. Few images may need less: with 1000
            of 1,297 the schedule ends long before the fit is good.
        lr: First learning rate.
        lr_end: Learning rate that would follow after the last epoch.
        weight_decay: Of weights and bias.
        standardize: Scale every dimension to mean 0 and spread 1 over ``features``. The protocol does not; it makes the
            result independent of the features' scale.
        seed: Of the order of the batches.

    Raises:
        ValueError: Missing or unfit labels, no features, a setting out of range.
    """
    labels = _check(features, labels)
    if min(epochs, batch_size) < 1 or lr <= 0 or lr_end <= 0:
        raise ValueError(
            f"linear probe: epochs {epochs}, batch_size {batch_size}, lr {lr}, lr_end {lr_end}; "
            "the first two must be at least 1, the others above 0."
        )
    x = features.detach().float()
    y = labels.to(x.device)
    mean, std = _statistics(x, standardize)
    x = _scale(x, mean, std)
    weight = x.new_zeros((int(labels.max()) + 1, x.shape[1]), requires_grad=True)
    bias = x.new_zeros(len(weight), requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=lr, weight_decay=weight_decay)
    scheduler = ExponentialLR(optimizer, gamma=(lr_end / lr) ** (1 / epochs))
    generator = torch.Generator().manual_seed(seed)
    with torch.enable_grad():
        for _ in tracked(range(epochs), "linear probe, epochs", epochs):
            for rows in torch.randperm(len(x), generator=generator).to(x.device).split(batch_size):
                optimizer.zero_grad()
                F.cross_entropy(F.linear(x[rows], weight, bias), y[rows]).backward()
                optimizer.step()
            scheduler.step()
    return LinearProbe(weight.detach(), bias.detach(), mean, std)


def choose_lr(
    features: Tensor,
    labels: Tensor | None,
    lrs: Sequence[float],
    held_out: float = 0.1,
    seed: int = 0,
    **settings: Any,
) -> tuple[float, dict[float, float]]:
    """Tries learning rates on a part of the training features and judges them on the rest, never on the test set.

    Each falls by the same factor as the protocol's, 1e4.

    Args:
        features: (N, D), float, N >= 2.
        labels: (N,), int64, >= 0.
        lrs: First learning rates to try, each > 0.
        held_out: Share of the features to judge on, in (0, 1).
        seed: Of the draw of that share, and of each probe.
        **settings: Of ``fit_linear_probe``, but for ``lr`` and ``lr_end``.

    Returns:
        The best (of equals the first), and the accuracy of each in percent.

    Raises:
        ValueError: No learning rates, a share out of range, or what ``fit_linear_probe`` raises.
    """
    labels = _check(features, labels)
    rest = round(len(features) * held_out)
    if not lrs or not 0 < rest < len(features):
        raise ValueError(
            f"linear probe: {len(lrs)} learning rates to try, {held_out} of {len(features)} features held out; at "
            "least one rate is needed, and at least one feature on either side."
        )
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    order = order.to(features.device)
    judged, learned = order[:rest], order[rest:]
    labels = labels.to(features.device)
    found = {}
    for lr in lrs:
        probe = fit_linear_probe(
            features[learned], labels[learned], lr=lr, lr_end=lr / LR_FALL, seed=seed, **settings
        )
        found[lr] = top_k_accuracy(probe.scores(features[judged]), labels[judged])
    return max(found, key=lambda lr: found[lr]), found


def top_k_accuracy(scores: Tensor, labels: Tensor, k: int = 1) -> float:
    """Share of images whose class is among the k with the highest scores, in percent.

    Args:
        scores: (N, classes), float.
        labels: (N,), int64; a class that the scores don't have counts as missed.
        k: At least 1; more than there are classes counts as all.
    """
    found = scores.topk(min(k, scores.shape[1]), dim=1).indices
    right = (found == labels.to(found.device)[:, None]).any(1)
    return 100.0 * right.double().mean().item()


def logistic_regression(
    features: Tensor, labels: Tensor | None, queries: Tensor, inverse_l2: float = 1.0
) -> Tensor:
    """Classes of queries by scikit-learn's logistic regression on standardised features.

    For small sets: it has no schedule to tune and converges to the one optimum.

    Args:
        features: (N, D), float.
        labels: (N,), int64, >= 0.
        queries: (Q, D), float.
        inverse_l2: scikit-learn's ``C``, > 0.

    Returns:
        Predicted classes, (Q,), int64, on the device of the queries.

    Raises:
        ValueError: Missing or unfit labels, or no features.
    """
    labels = _check(features, labels)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=inverse_l2, max_iter=2000))
    model.fit(features.float().cpu().numpy(), labels.cpu().numpy())
    return torch.from_numpy(model.predict(queries.float().cpu().numpy())).to(queries.device)


def _check(features: Tensor, labels: Tensor | None) -> Tensor:
    if labels is None:
        raise ValueError(
            "linear probe: there are no labels; use a data set whose samples carry one gt_label each."
        )
    if features.ndim != 2 or len(features) == 0 or labels.shape != features.shape[:1]:
        raise ValueError(
            f"linear probe: features {tuple(features.shape)} and labels {tuple(labels.shape)} must be (N, D) and "
            "(N,), with N >= 1."
        )
    if labels.is_floating_point() or int(labels.min()) < 0:
        raise ValueError(
            f"linear probe: labels are {labels.dtype} from {labels.min()}; they must be integers >= 0."
        )
    return labels


def _statistics(x: Tensor, standardize: bool) -> tuple[Tensor, Tensor]:
    if not standardize:
        return x.new_zeros(x.shape[1]), x.new_ones(x.shape[1])
    std = x.std(0, unbiased=False)
    # A dimension that never changes says nothing: leave it at zero instead of dividing by it.
    return x.mean(0), std.where(std > 0, 1.0)


def _scale(x: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    return (x.float().to(mean.device) - mean) / std
