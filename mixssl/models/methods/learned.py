"""Mixtures whose masks a network makes: how a method renders them and how that network learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from mmengine.model import BaseAveragedModel
from torch import Tensor, nn

from mixssl.models.encoder_options import eager
from mixssl.models.guided import captured, frozen, render_learned, run_until
from mixssl.models.methods.averaging import FusedCosineEMA
from mixssl.models.methods.cosine import check_cosine_momentum, move_along_cosine
from mixssl.models.methods.hidden import check_layers
from mixssl.models.methods.terms import View, mixture_views
from mixssl.registry import MODELS
from mixssl.structures import BLOCK, Key, MixedView

if TYPE_CHECKING:
    from mmpretrain.models import BaseSelfSupervisor as _Algorithm
else:
    _Algorithm = object

__all__ = ["LearnedMixing"]


class LearnedMixing(_Algorithm):
    """What :class:`MixtureMethod` does where the mixer is a learned one, AMix.

    The *guide* is an encoder that learns nothing from mixtures: the momentum encoder, or a momentum copy of backbone
    and neck for methods that have none (0.999 to 1 along a cosine). The block reads its maps of the clean view, and is
    judged through it. Only the block gets gradients from its losses: the guide and whatever else takes part are frozen.

    A mixture for the block goes through backbone and neck of the guide and then the way of an online embedding. Where
    the guide encodes the mixed view anyway its maps cost nothing; otherwise it runs up to the layer of the maps.

    Attributes:
        momentum_guide: The method's momentum encoder of backbone and neck, if it has one.
        targets_show_maps: Whether ``encode_target`` passes its views one by one, in their order and on this device,
            through the guide's backbone, so that maps can be read off there.

    Args:
        mix_block: Config of the block, like mixssl.MixBlockPlus; built only where the mixer is learned.
    """

    targets_show_maps = False
    mix_block: Any
    mix_guide: FusedCosineEMA | None

    @property
    def momentum_guide(self) -> BaseAveragedModel | None:
        """The method's own momentum encoder of backbone and neck; None for methods without."""
        return None

    def build_learned(self, mix_block: dict | None) -> None:
        """Builds the block, and a guide where the method has none; called once all else is built."""
        self.mix_block = self.mix_guide = None
        if self.mixer is None or not self.mixer.learned:
            return
        if mix_block is None:
            raise ValueError(
                f"{type(self.mixer).__name__} leaves its masks to the model and mix_block of {type(self).__name__} is "
                "None: set it, for instance to dict(type='mixssl.MixBlockPlus', in_channels=256)"
            )
        if self.joint_bn:
            raise ValueError(
                f"{type(self.mixer).__name__} mixes by what the momentum encoder has seen, too late to share a batch "
                "with a clean view: set joint_bn=False on the model"
            )
        self.mix_block = MODELS.build(mix_block)
        check_layers(self.backbone, (self.mix_block.layer,), "mix_block reads")
        if self.momentum_guide is None:
            self.mix_guide = FusedCosineEMA(nn.Sequential(self.backbone, self.neck), momentum=0.001)

    def check_guide(self) -> None:
        """Raises a ValueError where the length of the run is unknown and the guide needs it."""
        if self.training and self.mix_guide is not None:
            check_cosine_momentum(self)

    def move_guide(self) -> None:
        """Moves the guide that is no part of the method itself."""
        if self.mix_guide is not None:
            online = nn.Sequential(self.backbone, self.neck)
            move_along_cosine(self.mix_guide, online, self.passes)

    @property
    def guide(self) -> nn.Sequential:
        """Backbone and neck of the guide."""
        encoder = self.mix_guide if self.momentum_guide is None else self.momentum_guide
        return encoder.module  # type: ignore[union-attr]  # one of the two is there

    @contextmanager
    def reading(self, views: Sequence[View], maps: dict[int, Tensor]) -> Iterator[None]:
        """Writes down the guide's maps of the views that are encoded meanwhile, by their numbers."""
        if self.mix_block is None or not self.targets_show_maps:
            yield
            return
        layer = self.guide[0].get_submodule(self.mix_block.layer)
        with eager(self.guide[0]), captured(layer) as found:
            yield
        maps |= {view.number: value for view, value in zip(views, found, strict=True)}

    def render(
        self,
        inputs: Sequence[Tensor],
        mixtures: Sequence[MixedView],
        maps: dict[int, Tensor] | None = None,
    ) -> list[MixedView]:
        """Has the block make the masks of learned mixtures; the others stay as they are.

        Args:
            inputs: Clean views.
            mixtures: Of them.
            maps: The guide's maps of clean views, by number, as far as there are any; added to.

        Returns:
            The mixtures, all with pixels. Those for the encoder are free of the block's graph, and their masks are
            adjusted to λ if the block's ``adjust`` says so.
        """
        if self.mix_block is None:
            return list(mixtures)
        maps = {} if maps is None else maps
        with frozen(self.guide):
            for source in {mixture.source for mixture in mixtures if mixture.learned} - set(maps):
                maps[source] = run_until(self.guide[0], self.mix_block.layer, inputs[source])
        return [
            render_learned(self.mix_block, maps[mixture.source], inputs, mixture)
            if mixture.learned
            else mixture
            for mixture in mixtures
        ]

    @torch.no_grad()
    def render_mixtures(
        self, inputs: Sequence[Tensor], mixtures: Sequence[MixedView]
    ) -> list[MixedView]:
        """Renders learned mixtures to be looked at: no gradient, nothing learned or remembered; see :meth:`render`.

        In evaluation mode the guide normalises by its running statistics and the block drops nothing out.
        """
        with frozen(self):
            return self.render(inputs, mixtures)

    def block_losses(
        self,
        terms: Sequence[Any],
        inputs: Sequence[Tensor],
        mixtures: Sequence[MixedView],
        targets: dict[Key, Tensor],
    ) -> dict[str, Tensor]:
        """What the block learns from: its terms, judged through the frozen guide, and its own losses of the masks."""
        others = [module for module in self.children() if module is not self.mix_block]
        aims = {key: target.detach() for key, target in targets.items()}
        views = {view.number: view for view in mixture_views(mixtures, inputs)}
        online: dict[Key, Tensor] = {}
        losses: dict[str, Tensor] = {}
        with frozen(*others), self._swapped():
            for number in sorted({term.online.view for term in terms}):
                online |= self.encode_online([views[number]])
            losses = self._sum_terms(terms, online, aims)
        for mixture in (mixture for mixture in mixtures if mixture.learned == BLOCK):
            for name, value in self.mix_block.mask_losses(mixture.mask, mixture.lam).items():
                losses[name] = losses[name] + value if name in losses else value
        return losses

    @contextmanager
    def _swapped(self) -> Iterator[None]:
        """Has the guide's backbone and neck take the place of the online ones."""
        own = {"backbone": self.backbone, "neck": self.neck}
        try:
            for name, module in zip(own, self.guide, strict=True):
                setattr(self, name, module)
            yield
        finally:
            for name, module in own.items():
                setattr(self, name, module)
