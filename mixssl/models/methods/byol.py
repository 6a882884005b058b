"""BYOL: each view predicts what a momentum encoder makes of the other."""

from typing import Any

from mmengine.model import BaseAveragedModel
from mmpretrain.models import BYOL
from torch import Tensor

from mixssl.models.methods.base import MixtureMethod
from mixssl.models.methods.prediction import prediction_losses
from mixssl.models.parts import add_regions
from mixssl.registry import MODELS
from mixssl.structures import IMAGE, EmbeddingId, Term
from mixssl.utils.errors import ConfigError


@MODELS.register_module()
class MixBYOL(MixtureMethod, BYOL):
    """mmpretrain's BYOL with mixtures (Grill et al. 2020).

    Without a mixer the parent, bit by bit, the factor 2 of its loss included. A mixture predicts the targets of its
    images, each weighed by its share: pairing="cross" of UnMixHead, into the online branch only. With "mutual" the
    images also predict the mixture's target, which is Un-Mix's Algorithm 1. The predictor sees a view once, whatever
    the number of its targets. The target network moves once per optimizer step, under gradient accumulation too,
    where its momentum still follows the run's iterations.

    Regions (local/global CutMix, whose paper has them on MoCo alone) are projected by the region neck, predicted by a
    head of their own, and compared with what a momentum copy of the neck makes of the target network's maps.

    Args:
        *args: Of mmpretrain's BYOL.
        end_momentum: Weight of the new value at the end of the run, in [0, 1], to which ``base_momentum`` goes along
            half a cosine; mmpretrain's and the paper's is 0. With that of ``base_momentum`` it is constant, for runs
            that are made longer later.
        region_neck: Config of a neck like :class:`~mixssl.models.necks.RegionPool`; None for no regions. Built only
            where the mix head compares regions.
        region_momentum: Whether targets of regions go through a momentum copy of that neck.
        region_head: Config of a prediction head for regions, like ``head`` with as many channels as the region neck
            puts out; wanted wherever the mix head compares regions.
        **kwargs: Of mmpretrain's BYOL (backbone, neck, head, base_momentum, data_preprocessor, ...) and ``mix_head``,
            ``joint_bn``. ``base_momentum`` is the weight of the new value at the start, 0.01 for a momentum of 0.99.

    Raises:
        ValueError: If ``end_momentum`` is out of range; if regions are compared and ``region_head`` is None; in
            training, if the length of the run is unknown.
    """

    targets_show_maps = True
    capabilities = frozenset({"rows", "blends"})
    mixture_arguments = ("region_neck", "region_momentum", "region_head")

    def __init__(
        self,
        *args: Any,
        end_momentum: float = 0.0,
        region_neck: dict | None = None,
        region_momentum: bool = True,
        region_head: dict | None = None,
        **kwargs: Any,
    ) -> None:
        if region_neck is not None:
            self.capabilities = self.capabilities | {"regions"}
        super().__init__(*args, **kwargs)
        if not 0 <= end_momentum <= 1:
            raise ConfigError(
                f"end_momentum of MixBYOL is {end_momentum} and must lie in [0, 1]: it weighs the new value"
            )
        self.target_net.end_momentum = end_momentum
        self.region_head = None
        if add_regions(self, region_neck, self.target_net if region_momentum else None):
            if region_head is None:
                raise ValueError(
                    "region_head of MixBYOL is None and the mix head compares regions: set it to a config like "
                    "head's, its predictor with as many channels as region_neck.out_channels"
                )
            self.region_head = MODELS.build(region_head)

    @property
    def teacher(self) -> BaseAveragedModel:
        """The momentum encoder."""
        return self.target_net

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 predicts the target of view 1, and the other way round."""
        return [Term(EmbeddingId(0), EmbeddingId(1)), Term(EmbeddingId(1), EmbeddingId(0))]

    def predict(self, online: Tensor) -> Tensor:
        """The prediction of the target."""
        return self.head.predictor([online])[0]

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """Twice the head's loss, which for a pair of views adds up to the parent's."""
        head = self.head if terms[0].online.region == IMAGE else self.region_head
        return [2 * value for value in prediction_losses(head, online, targets, terms)]
