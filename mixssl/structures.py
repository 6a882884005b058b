"""The records that connect mixers, methods and mix heads: MixedView, Key, Pair, and the kinds of terms.

Views are numbered through a training step: the clean views come first (0, 1, ...), then the mixtures in the order the
mixer returned them. With two clean views the first mixture is view 2.

Shapes: N batch, M rows of a mixture (N, or N/2 for MixCo), C channels, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

__all__ = [
    "BLOCK",
    "ENCODER",
    "GLOBAL",
    "IMAGE",
    "LOCAL",
    "AnyTerm",
    "ClusterTerm",
    "Key",
    "MixedView",
    "Pair",
    "SoftTerm",
    "Term",
    "TwoWayTerm",
]

IMAGE = "image"
"""Region of an embedding that describes the whole image."""
LOCAL = "local"
"""Region of an embedding pooled inside a mixture's box."""
GLOBAL = "global"
"""Region of an embedding pooled outside a mixture's box."""
ENCODER = "encoder"
"""A learned mixture that the encoder learns from, by masks without gradient."""
BLOCK = "block"
"""A learned mixture that the network which makes the masks learns from, through a frozen encoder."""


class MixedView(NamedTuple):
    """A batch of mixed images and everything needed to say what each row is made of.

    Row i shows ``lam[i]`` of image ``index[i]`` of view ``source`` and ``1 - lam[i]`` of image ``partner[i]`` of view
    ``partner_view``. A named tuple of tensors, so that it passes through distributed wrappers and the data dict.

    Attributes:
        images: Mixed pixels, (M, C, H, W), in the dtype and on the device of the clean views; None where a learned
            mixer leaves the pixels to the model, or where hidden features are mixed.
        source: Number of the clean view the own images come from.
        partner_view: Number of the clean view the partner images come from, usually ``source``.
        index: Own image of each row, (M,), int64, in [0, N).
        partner: Image mixed into each row, (M,), int64, in [0, N).
        lam: Weight of the own image, (M,), float32, in [0, 1]; for boxes recomputed after clipping.
        mask: The own image's weight per pixel, (M, 1, H, W), in [0, 1], with mean ``lam`` per row; may be an expanded
            view of less memory. None where a learned mixer has yet to make it.
        boxes: Pasted region (top, left, bottom, right) in pixels, half-open, (M, 4), int64; None for mixtures without
            a box.
        layer: Module of the backbone whose output is mixed by ``lam`` in place of pixels, with a row per image of view
            ``source``; None for mixtures of pixels.
    """

    images: Tensor | None
    source: int
    partner_view: int
    index: Tensor  # type: ignore[assignment]  # takes the name of the method that every tuple has
    partner: Tensor
    lam: Tensor
    mask: Tensor | None = None
    boxes: Tensor | None = None
    layer: str | None = None
    learned: str | None = None


class Key(NamedTuple):
    """Names one embedding of a step: the view it is computed from and the region it is pooled over."""

    view: int
    region: str = IMAGE


class Term(NamedTuple):
    """One comparison that enters the loss.

    The method compares the online embedding of ``online`` with the target embedding of ``target``, whose rows are
    reordered by ``rows``, and adds ``weight`` times the result to the loss called ``name``.

    Attributes:
        online: Embedding that receives the gradient.
        target: Embedding it is compared with.
        rows: Row of the target for each row of the online embedding, (M,), int64; None for the identity.
        weight: Weight of the comparison: a number, or a tensor (M,) with a weight per row.
        name: Key in the loss dict; terms of the same name are summed. Must contain "loss" and not be "loss".
    """

    online: Key
    target: Key
    rows: Tensor | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_clean"


class Pair(NamedTuple):
    """Two views that the method compares as it compares a pair of clean views, in as many directions.

    The method turns a pair into terms: one for an asymmetric method, two for one that predicts either view from the
    other.

    Attributes:
        first: Takes the place of clean view 0.
        second: Takes the place of clean view 1.
        rows: Row of the second view for each row of the first, a permutation, (N,), int64; None for the identity.
        weight: Weight of the comparison: a number, or a tensor (N,) with a weight per row of the first view.
        name: Key in the loss dict; as in :class:`Term`.
    """

    first: Key
    second: Key
    rows: Tensor | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_mix"


class SoftTerm(NamedTuple):
    """One comparison with all candidates at once: a soft cross-entropy over a batch of targets and the bank.

    Attributes:
        online: Embedding that receives the gradient, M rows.
        target: Embedding whose N rows, with the method's bank, are the candidates.
        positives: Rows of the target that each row of the online embedding belongs to, (M, P), int64, in [0, N).
        shares: How much it belongs to each, (M, P), summing to 1 over P.
        temperature: Of the softmax, > 0; None for the method's own.
        weight: Weight of the comparison.
        name: Key in the loss dict; as in :class:`Term`.
    """

    online: Key
    target: Key
    positives: Tensor
    shares: Tensor
    temperature: float | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_mix"


class TwoWayTerm(NamedTuple):
    """One comparison of a mixture with its two images alone: which of them is it more like?

    Attributes:
        online: Embedding of the mixture, M rows.
        target: Embedding whose rows are the images, N rows.
        index: Own image of each row, (M,), int64, in [0, N).
        partner: Image mixed into each, (M,), int64, in [0, N).
        lam: How much of the own image each row shows, (M,), in [0, 1].
        temperature: Of the softmax, > 0; None for the method's own.
        weight: Weight of the comparison.
        name: Key in the loss dict; as in :class:`Term`.
    """

    online: Key
    target: Key
    index: Tensor  # type: ignore[assignment]  # takes the name of the method that every tuple has
    partner: Tensor
    lam: Tensor
    temperature: float | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_mix"


class ClusterTerm(NamedTuple):
    """One comparison with the clusters of the batch's images: a cross-entropy of a classifier, without a target.

    Attributes:
        online: Embedding that is classified, M rows.
        index: Own image of each row, (M,), int64, in [0, N); None for a clean view, whose rows are the images.
        partner: Image mixed into each, (M,), int64, in [0, N).
        lam: How much of the own image each row shows, (M,), in [0, 1].
        weight: Weight of the comparison.
        name: Key in the loss dict; as in :class:`Term`.
        two_way: Whether the clusters of a row's two images alone are told apart, whatever others there are.
    """

    online: Key
    index: Tensor | None = None  # type: ignore[assignment]  # takes the name of the method that every tuple has
    partner: Tensor | None = None
    lam: Tensor | None = None
    weight: Tensor | float = 1.0
    name: str = "loss_mix"
    two_way: bool = False


AnyTerm = Term | SoftTerm | TwoWayTerm | ClusterTerm
"""What the loss of a step is a list of."""
