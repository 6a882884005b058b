"""MoCo v3: symmetric, with a predictor, negatives from the batches of all devices, for ResNets and ViTs."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_gather, get_rank
from mmengine.model import BaseAveragedModel
from mmpretrain.models import MoCoV3
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.methods.base import MixtureMethod
from mixssl.registry import MODELS
from mixssl.structures import AnyTerm, EmbeddingId, MixedView, Term, View

_GATHERED = "gathered"
"""Region under which the keys of all devices travel beside those of this one."""


@MODELS.register_module()
class MixMoCoV3(MixtureMethod, MoCoV3):
    """mmpretrain's MoCo v3 with mixtures (Chen, Xie, He 2021).

    Without a mixer loss, gradients, buffers and state keys are the parent's, bit by bit. The momentum encoder moves
    once per optimizer step, under gradient accumulation too. Keys are gathered from all devices once per view, a
    mixture goes through the predictor once, and its logits against all keys are computed once for all its terms, in
    fp32.

    A mixture's loss has the factor of the clean one, the head's ``loss_weight``, 2τ in the paper's recipes; a soft
    term's too. With a ViT as backbone a mixture and its reverse share an encoding as long as ``drop_rate`` and
    ``drop_path_rate`` are 0, as they are in the paper's recipes.

    Args:
        *args: Of mmpretrain's MoCoV3.
        symmetric: Whether either view predicts the other, as in the paper. False compares view 0 with the key of view 1
            alone, as SDMP and PatchMix do, whose mixtures of the other view take the place of the second direction;
            without a mixer there are always both.
        **kwargs: Of mmpretrain's MoCoV3 and ``mix_head``, ``joint_bn``; ``base_momentum`` is the weight of the new
            value at the start, 0.01 for the paper's 0.99.

    Raises:
        ValueError: In training, if the length of the run is unknown.
    """

    targets_show_maps = True
    capabilities = frozenset({"rows", "candidates"})
    mixture_arguments = ("symmetric",)

    def __init__(self, *args: Any, symmetric: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.symmetric = symmetric

    @property
    def teacher(self) -> BaseAveragedModel:
        """The momentum encoder."""
        return self.momentum_encoder

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 against the key of view 1, and the other way round unless mixtures take its place."""
        terms = [Term(EmbeddingId(0), EmbeddingId(1)), Term(EmbeddingId(1), EmbeddingId(0))]
        return terms if self.symmetric or self.mixer is None else terms[:1]

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons; a soft one gets the factor that the head's loss gives the others."""
        factor = getattr(self.head.loss_module, "loss_weight", 1.0)
        return [
            term if term.own_loss else term.with_weight(term.weight * factor)
            for term in super().mixture_terms(mixtures, clean)
        ]

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Predictions, normalised, (M, D); each view is its own batch for batch normalisation."""
        projections = super().encode_online(views)
        return {
            eid: F.normalize(self.head.predictor([projection])[0], dim=1)
            for eid, projection in projections.items()
        }

    @torch.no_grad()
    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """Keys of this device, normalised, (M, D), and beside them those of all devices."""
        keys = {
            EmbeddingId(view.number): F.normalize(self.momentum_encoder(view.images)[0], dim=1)
            for view in views
        }
        everywhere = {
            EmbeddingId(name.view, _GATHERED): torch.cat(all_gather(key), dim=0)
            for name, key in keys.items()
        }
        return keys | everywhere

    def compare(
        self, online: Tensor, targets: dict[EmbeddingId, Tensor], terms: list[Term]
    ) -> list[Tensor]:
        """InfoNCE against the keys of all devices, by the parent's loss."""
        losses = []
        with torch.autocast(online.device.type, enabled=False):
            logits = {
                view: self._logits(online.float(), targets[EmbeddingId(view, _GATHERED)].float())
                for view in {term.target.view for term in terms}
            }
            for term in terms:
                own = len(targets[term.target])  # type: ignore[index]  # no blends
                rows = torch.arange(own, device=online.device) if term.rows is None else term.rows
                value = self.head.loss_module(
                    logits[term.target.view],
                    rows + own * get_rank(),
                    reduction_override="none" if term.per_row else None,
                )
                losses.append(value)
        return losses

    def _logits(self, online: Tensor, keys: Tensor) -> Tensor:
        """Scores against keys of all devices, divided by the temperature, (M, N x devices)."""
        return torch.einsum("nc,mc->nm", [online, keys]) / self.head.temperature

    def candidate_logits(
        self, online: Tensor, target: Tensor, temperature: float | None
    ) -> list[Tensor]:
        """Logits of this device's keys and of those of the other devices."""
        others = [keys for rank, keys in enumerate(all_gather(target)) if rank != get_rank()]
        with torch.autocast(online.device.type, enabled=False):
            query = online.float() / (temperature or self.head.temperature)
            return [query @ keys.float().t() for keys in (target, *others)]
