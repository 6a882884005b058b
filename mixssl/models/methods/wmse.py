"""W-MSE: no negatives and no momentum encoder, embeddings are kept apart by whitening them."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models import BaseSelfSupervisor
from torch import Tensor

from mixssl.mixing import StepRandom
from mixssl.models.losses import check_rows, normalized_mse, whiten_groups
from mixssl.models.methods.base import MixtureMethod
from mixssl.registry import MODELS
from mixssl.structures import AnyTerm, EmbeddingId, MixedView, Term, View
from mixssl.utils.errors import require


@MODELS.register_module()
class MixWMSE(MixtureMethod, BaseSelfSupervisor):
    """W-MSE with mixtures (Ermolov et al. 2021); mmpretrain has no W-MSE.

    The loss is the mean normalised MSE of whitened embeddings over all d(d-1)/2 pairs of the d views that the pipeline
    gives: d = 2 and 4 are the paper's W-MSE 2 and 4. All views of a step are whitened in groups of ``w_size`` rows
    under the same random orders of the batch, ``w_iter`` of them. Each view goes through the backbone by itself and all
    clean views through the neck as one batch, as in the authors' code; a mixture is a batch of its own.

    A mixture's comparisons are averaged over the views that it is compared with, so that its loss has the scale of the
    clean one also with more than two views. Rows of the other view are reordered *before* they are whitened: with
    ``w_size`` below the batch size this is what the loss of the reversed mixture is, and reordering whitened rows is
    not. Whitening couples the rows of a batch, so mixtures need one λ per batch.

    Statistics are those of one device, as in the paper, which trains on one.

    Args:
        backbone: Config of the backbone.
        neck: Config of the projector.
        w_size: Rows whitened together; divides the batch per device and is larger than the embedding. The paper: 128 on
            CIFAR, 256 on STL-10 and Tiny ImageNet. None for the batch per device.
        w_iter: Orders per step, >= 1. The paper: 1, and 4 for two views on STL-10 and Tiny ImageNet.
        eps: How far covariances are drawn towards the identity, in [0, 1); 0 in the paper, 1e-4 keeps them regular.
        seed: Of the orders, in [0, 2^63); None takes the run's seed. Seed and step are saved with the model.
        **kwargs: ``mix_head``, ``joint_bn``, ``data_preprocessor``, ``pretrained``, ``init_cfg``.

    Raises:
        ValueError: If an argument lies outside its range, a covariance would be singular, or the mixer draws a λ per
            image; in training, if the batch does not divide by ``w_size``.
    """

    capabilities = frozenset()
    targets_are_online = True

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        w_size: int | None = 128,
        w_iter: int = 1,
        eps: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        require(">= 2", self, "None takes the whole batch", w_size=w_size)
        require(">= 1", self, "the paper uses 1 or 4", w_iter=w_iter)
        require("[0, 1)", self, "0 or 1e-4 are usual", eps=eps)
        size = neck.get("out_channels") if isinstance(neck, dict) else None
        if w_size is not None and size is not None:
            check_rows(w_size, size, eps)
        super().__init__(backbone=backbone, neck=neck, **kwargs)
        self.w_size = w_size
        self.w_iter = w_iter
        self.eps = eps
        self.orders = StepRandom(seed)
        self._order: Tensor | None = None

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views are missing or the batch can't be cut into groups."""
        super().check_batch(inputs)
        batch = len(inputs[0])
        if self.w_size is not None and batch % self.w_size:
            raise ValueError(
                f"w_size of MixWMSE is {self.w_size} and must divide the batch of {batch} images per device: "
                "change w_size or batch_size, and set drop_last=True in train_dataloader"
            )

    def clean_terms(self, clean: int) -> list[Term]:
        """All pairs of views, averaged."""
        weight = 2 / (clean * (clean - 1))
        return [
            Term(EmbeddingId(i), EmbeddingId(j), weight=weight)
            for i in range(clean)
            for j in range(i + 1, clean)
        ]

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons, averaged over the views that a mixture is compared with."""
        terms = super().mixture_terms(mixtures, clean)
        ways = Counter(
            online for online, _ in {(t.online, eid) for t in terms for eid in t.targets}
        )
        return [
            term.with_weight(term.weight / ways[term.online]) if term.targets else term
            for term in terms
        ]

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Embeddings, neither whitened nor normalised, (M, D); the views are one batch in the neck."""
        maps = [self.backbone(view.images) for view in views]
        embeddings = self.neck(tuple(torch.cat(same) for same in zip(*maps, strict=True)))[0]
        parts = embeddings.split([len(view.images) for view in views])
        return {EmbeddingId(view.number): part for view, part in zip(views, parts, strict=True)}

    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """The online embeddings; here the step's orders are drawn, which all its comparisons share."""
        first = next(iter(online.values()))
        self._order = self._draw_orders(len(first)).to(first.device, non_blocking=True)
        return super().encode_target(views, online)

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Normalised MSE of whitened embeddings, a scalar per term; whitens the online embedding once."""
        white = self._whiten(online)
        return [normalized_mse(white, self._whiten(target)).mean() for target in targets]

    def _draw_orders(self, batch: int) -> Tensor:
        """Orders of the batch, (w_iter, N), on the CPU: random in training and as it is in evaluation."""
        if not self.training:
            return torch.arange(batch).expand(self.w_iter, -1)
        generator = self.orders()
        return torch.stack([torch.randperm(batch, generator=generator) for _ in range(self.w_iter)])

    def _whiten(self, rows: Tensor) -> Tensor:
        """Whitens under the step's orders, (w_iter, N, D)."""
        assert self._order is not None
        return whiten_groups(rows, self._order, self.w_size or len(rows), self.eps)
