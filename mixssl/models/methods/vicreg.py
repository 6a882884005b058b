"""VICReg: the embeddings of two views agree, vary from image to image, and do not repeat themselves."""

from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models import BaseSelfSupervisor
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.methods.base import MixtureMethod
from mixssl.registry import MODELS
from mixssl.structures import BLOCK, AnyTerm, EmbeddingId, MixedView, Pair, Term
from mixssl.utils.distributed import gather_rows
from mixssl.utils.errors import require


@MODELS.register_module()
class MixVICReg(MixtureMethod, BaseSelfSupervisor):
    """VICReg with mixtures (Bardes et al. 2022), which mmpretrain lacks.

    The loss of a pair has two kinds of parts. *Invariance* is the mean squared difference of the pair's embeddings,
    over rows and dimensions as in the authors' code; the paper's eq. 5 sums over dimensions. It decomposes over rows: a
    mixture's is weighed by λ and 1 - λ, which may differ from row to row. *Variance* and *covariance* belong to a view
    by itself: a term that compares an embedding with itself stands for them, once for each view or mixture that takes
    part, whatever it is compared with.

    On several devices variance and covariance are those of all rows, with gradient for every device's, as in the
    authors' code; the gradient is that of one process on the whole batch. All is computed in fp32.

    Args:
        *args: Of mmpretrain's BaseSelfSupervisor.
        invariance: Weight of the distance, >= 0 (λ in the paper).
        variance: Weight of the hinge on deviations, >= 0 (μ), halved between the two views as in the authors' code;
            solo-learn does not halve it, so that its 25 are 50 here.
        covariance: Weight of the squared off-diagonal covariances over the dimension, >= 0 (ν).
        **kwargs: Of mmpretrain's BaseSelfSupervisor (backbone, neck, data_preprocessor, ...) and ``mix_head``,
            ``joint_bn``. There is no head.

    Raises:
        ValueError: If a weight is negative.
    """

    capabilities = frozenset({"rows", "blends"})
    targets_are_online = True

    def __init__(
        self,
        *args: Any,
        invariance: float = 25.0,
        variance: float = 25.0,
        covariance: float = 1.0,
        **kwargs: Any,
    ) -> None:
        require(">= 0", self, invariance=invariance, variance=variance, covariance=covariance)
        super().__init__(*args, **kwargs)
        self.invariance = invariance
        self.variance = variance
        self.covariance = covariance

    def clean_terms(self, clean: int) -> list[Term]:
        """Views 0 and 1, and each by itself; the loss of a pair has both directions."""
        one, other = EmbeddingId(0), EmbeddingId(1)
        return [Term(one, other), Term(one, one), Term(other, other)]

    def pair_terms(self, pair: Pair) -> list[Term]:
        """The distance alone; :meth:`mixture_terms` adds what belongs to each by itself."""
        return [Term(pair.first, pair.second, pair.rows, pair.weight, pair.name)]

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons, and each mixture by itself; clean views too, as far as their loss is left out."""
        assert self.mix_head is not None
        terms = super().mixture_terms(mixtures, clean)
        named: dict[EmbeddingId, list[Term]] = {}
        for term in terms:
            if isinstance(term, Term):
                for eid in {term.online, *term.targets}:
                    named.setdefault(eid, []).append(term)
        alone = []
        for eid, own in sorted(named.items(), key=lambda item: item[0]):
            mixed = eid.view >= clean
            share = 1.0 if mixed else 1.0 - self.mix_head.clean_weight
            if not share or (mixed and mixtures[eid.view - clean].learned == BLOCK):
                continue  # a Mix Block learns of the distance alone
            # λ and 1 - λ are one comparison, and add up to the weight of the mixture.
            count = len({(term.online, term.target) for term in own})
            weight: Any = sum(term.weight for term in own) * (share / count)
            alone.append(Term(eid, eid, None, weight, "loss_mix"))
        return [*terms, *alone]

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """The weighed distance, per row where rows have weights; of an embedding with itself what is its own."""
        losses = []
        with torch.autocast(online.device.type, enabled=False):
            z = online.float()
            for target, term in zip(targets, terms, strict=True):
                if term.target == term.online:
                    losses.append(self._own_loss(z))
                elif isinstance(term.weight, Tensor):
                    losses.append(self.invariance * (z - target.float()).square().mean(dim=1))
                else:
                    losses.append(self.invariance * F.mse_loss(z, target.float()))
        return losses

    def _own_loss(self, z: Tensor) -> Tensor:
        """Half the weighed variance, and the weighed covariance, of the rows of all devices (eq. 1 to 4), a scalar."""
        z = gather_rows(z)
        z = z - z.mean(dim=0)
        deviation = (z.var(dim=0) + 1e-4).sqrt()
        covariance = z.T @ z / (len(z) - 1)
        apart = covariance - covariance.diagonal().diag()
        repeated = apart.square().sum() / z.shape[1]
        return self.variance / 2 * F.relu(1 - deviation).mean() + self.covariance * repeated
