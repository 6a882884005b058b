"""How well a mixture is told to be of two labels: the losses of AMix's Table 1, for a head and its features."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from mmpretrain.models.heads import ClsHead
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.losses import two_way_cross_entropy
from mixssl.structures import MixedView


class Judged(NamedTuple):
    """What an encoder makes of a mixture.

    Attributes:
        head: Classification head, frozen or not.
        feats: What the head takes, a tuple of which the last counts.
        targets: Of the clean images: classes (N,), int64, or scores (N, K).
        mixture: Whose rows ``feats`` are.
        clean: Features before the head's classifier of the clean images, (N, D), without gradient; None where no loss
            asks for them.
        temperature: Of the losses that compare features.
    """

    head: Any
    feats: Any
    targets: Tensor
    mixture: MixedView
    clean: Tensor | None = None
    temperature: float = 1.0


def batch_targets(data_samples: Sequence[Any] | None) -> Tensor:
    """Collects the labels of a batch, as mmpretrain's heads read them.

    Returns:
        Classes (N,), int64; or, where a data preprocessor or a batch augmentation has made them, scores (N, K).

    Raises:
        ValueError: If there are no labels, or images with several.
    """
    if not data_samples or not ("gt_score" in data_samples[0] or "gt_label" in data_samples[0]):
        raise ValueError(
            "the batch has no labels, which a classifier learns from: take a data set that gives gt_label and end the "
            "pipeline with PackInputs"
        )
    if "gt_score" in data_samples[0]:
        return torch.stack([sample.gt_score for sample in data_samples])
    labels = torch.cat([sample.gt_label for sample in data_samples])
    if len(labels) != len(data_samples):
        raise ValueError(
            f"{len(data_samples)} images have {len(labels)} labels, and a mixture is of one label per image: take a "
            "data set with one class per image"
        )
    return labels


def mixed_label_loss(judged: Judged) -> Tensor:
    """The head's own loss for both labels, weighted by their shares (eq. 3); a scalar.

    With cross-entropy this is the cross-entropy with the mixed label.
    """
    mixture, logits = judged.mixture, judged.head(judged.feats)
    compare: Callable[..., Tensor] = judged.head.loss_module
    rows, lam = len(logits), mixture.lam
    own = compare(logits, judged.targets[mixture.index], weight=lam, avg_factor=rows)
    return own + compare(logits, judged.targets[mixture.partner], weight=1 - lam, avg_factor=rows)


def _two_class_loss(judged: Judged) -> Tensor:
    """The local part of the cross-entropy, pBCE: between the logits of the two classes alone."""
    if judged.targets.ndim != 1:
        raise ValueError(
            "the loss 'pbce' compares two classes and the batch has scores over all classes: take 'ce', or leave out "
            "to_onehot and batch_augments of the data preprocessor"
        )
    mixture, logits = judged.mixture, judged.head(judged.feats).float()
    own, other = (
        logits.gather(1, judged.targets[rows][:, None]).squeeze(1)
        for rows in (mixture.index, mixture.partner)
    )
    return two_way_cross_entropy(own, other, mixture.lam).mean()


def _two_image_loss(judged: Judged) -> Tensor:
    """Its non-parametric twin, BCE (eq. 6): between the cosines with the features of the two images alone."""
    assert judged.clean is not None
    mixture = judged.mixture
    mixed = F.normalize(judged.head.pre_logits(judged.feats).float(), dim=1)
    clean = F.normalize(judged.clean.float(), dim=1)
    own, other = (
        (mixed * clean[rows]).sum(dim=1) / judged.temperature
        for rows in (mixture.index, mixture.partner)
    )
    return two_way_cross_entropy(own, other, mixture.lam).mean()


LABEL_LOSSES: dict[str, Callable[[Judged], Tensor]] = {
    "ce": mixed_label_loss,
    "pbce": _two_class_loss,
    "bce": _two_image_loss,
}


def check_head(head: Any, name: str) -> None:
    """Raises a ValueError unless a head's loss can be weighted by row."""
    if not isinstance(head, ClsHead) or type(head).loss is not ClsHead.loss:
        raise ValueError(
            f"{name} is a {type(head).__name__} and must be a head that applies a loss to its logits, like "
            "LinearClsHead: the labels of a mixture are weighted by row"
        )
