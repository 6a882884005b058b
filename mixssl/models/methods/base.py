"""The template of a training step that every method adapter fills in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from mixssl.mixing import Deferred, Mixer
from mixssl.models.heads import MixHead
from mixssl.models.methods import checks
from mixssl.models.methods.averaging import fused
from mixssl.models.methods.clustered import ClusteredLearning
from mixssl.models.methods.comparisons import Comparisons
from mixssl.models.methods.hidden import mixed_hidden
from mixssl.models.methods.learned import LearnedMixing
from mixssl.models.methods.optimizer_steps import listen
from mixssl.models.methods.terms import (
    View,
    aims_of,
    aligned,
    by_view,
    mixture_views,
    parted,
    scaled,
    select,
    turned,
)
from mixssl.registry import MODELS
from mixssl.structures import BLOCK, AnyTerm, Key, MixedView, Pair, Term

if TYPE_CHECKING:
    from mmpretrain.models import BaseSelfSupervisor as _Algorithm
else:
    _Algorithm = object

__all__ = ["MixtureMethod", "View"]


class MixtureMethod(LearnedMixing, ClusteredLearning, Comparisons, _Algorithm):
    """Mixin that lets an mmpretrain algorithm learn from mixtures; put it before the algorithm among the bases.

    ``loss`` is a template. The terms of the clean views and those of the mix head name embeddings; each embedding named
    is computed exactly once, in this order: clean online views, momentum step, targets, mixtures (each its own batch
    for batch normalisation; those of a learned mixer are rendered right before). Without a mixer the order and the
    arithmetic are the parent's, bit by bit.

    The momentum encoder and every bank move once per optimizer step, also under gradient accumulation, where the
    parent moves them once per forward pass.

    Attributes:
        offers: What mixtures may ask of the method: ``"rows"``, its loss is a mean over rows, so that each may have its
            own λ; ``"candidates"``, it tells an embedding apart from others, so that soft targets make sense;
            ``"regions"``, it can pool embeddings over regions.
        mixture_arguments: Arguments of the class's own constructor that are read only where there is a mixer: they go
            with the mixture when it is switched off.
        targets_are_online: Whether targets come from the online encoder too: then whatever is named only as a target is
            encoded online as well, and ``encode_target`` is called last, with all online embeddings at hand.

    Args:
        mix_head: Config of a mix head; read only where the data preprocessor has a mixer.
        joint_bn: Whether mixtures share the batch of view 0 for batch normalisation, as in MixCo's code; otherwise each
            mixture is a batch of its own, as in Un-Mix's.
        mix_block: Config of the network that makes a learned mixer's masks; see :class:`LearnedMixing`.
        clusters: Config of a memory of clusters, mixssl.ODC; read only where the data preprocessor has a mixer; see
            :class:`ClusteredLearning`.
        **kwargs: Of the mmpretrain algorithm.

    Raises:
        TypeError: If the method has no argument of a name.
        ValueError: If there is a mixer and no head, or a head that can't read the mixer's mixtures.
    """

    offers: frozenset[str] = frozenset({"rows"})
    mixture_arguments: ClassVar[tuple[str, ...]] = ("mix_head", "joint_bn", "mix_block", "clusters")
    targets_are_online: ClassVar[bool] = False
    mix_head: MixHead | None

    def __init__(
        self,
        *args: Any,
        mix_head: dict | None = None,
        joint_bn: bool = False,
        mix_block: dict | None = None,
        clusters: dict | None = None,
        **kwargs: Any,
    ) -> None:
        checks.check_arguments(type(self), kwargs)
        super().__init__(*args, **kwargs)
        for name, child in list(self.named_children()):
            setattr(self, name, fused(child))
        self.joint_bn = joint_bn
        self.mix_head = MODELS.build(mix_head) if mix_head is not None else None
        self._momentum_due, self.passes = True, 0
        self.build_clusters(clusters)
        checks.check_mixture(self)
        self.build_learned(mix_block)

    @property
    def mixer(self) -> Mixer | None:
        """The data preprocessor's mixer, if it has one."""
        return getattr(self.data_preprocessor, "mixer", None)

    def forward(
        self,
        inputs: Tensor | list[Tensor],
        data_samples: list | None = None,
        mode: str = "tensor",
        mixtures: Sequence[MixedView | Deferred] = (),
    ) -> Any:
        """As the parent, and in mode "loss" also with the mixtures of the views in ``inputs``."""
        if mode == "loss":
            return self.loss(inputs, data_samples, mixtures=mixtures)  # type: ignore[arg-type]  # check_batch refuses
        return super().forward(inputs, data_samples, mode)

    def loss(
        self,
        inputs: list[Tensor],
        data_samples: list | None = None,
        mixtures: Sequence[MixedView | Deferred] = (),
        **kwargs: Any,
    ) -> dict[str, Tensor]:
        """Runs a training step up to the loss.

        Args:
            inputs: Clean views, each (N, C, H, W).
            data_samples: With ``sample_idx`` where the model has clusters; else not read.
            mixtures: Of the clean views, in the order of their numbers.
            **kwargs: Not read; taken because the parent takes them.

        Returns:
            Scalars by name: ``loss_clean`` and what the mix head names.

        Raises:
            ValueError: If the batch does not fit the method.
        """
        self.check_batch(inputs)
        self.check_guide()
        clean, mixtures = len(inputs), self.settle(mixtures, data_samples)
        terms = self.step_terms(mixtures, clean)
        views = [*(View(i, x) for i, x in enumerate(inputs)), *mixture_views(mixtures, inputs)]

        aims = by_view([*aims_of(terms), *self.unnamed_targets(mixtures, clean)])
        if not self.targets_are_online:
            checks.require_pixels(select(views, aims))
        of_block = {i for i, mixed in enumerate(mixtures, clean) if mixed.learned == BLOCK}
        shared = aims_of(terms) if self.targets_are_online else []
        terms, judged = parted(terms, of_block)
        named = by_view([*(term.online for term in terms), *shared])
        first, mixed = select(views[:clean], named), select(views[clean:], named)
        joined = mixed if self.joint_bn and first else []

        online: dict[Key, Tensor] = {}
        if joined:
            online = self._encode_joined(first, joined)
        elif first:
            online = self.encode_online(first)
        if self.training:
            listen(self)
            self.step_momentum()
        targets: dict[Key, Tensor] = {}
        maps: dict[int, Tensor] = {}
        if not self.targets_are_online:
            with self.reading(select(views, aims), maps):
                targets = self.encode_target(select(views, aims), online)
        mixtures = self.render(inputs, mixtures, maps)
        for view in [] if joined else select(mixture_views(mixtures, inputs), named):
            with mixed_hidden(self.backbone, view.hidden):
                online |= self.encode_online([view])
        if self.targets_are_online:
            targets = self.encode_target(select(views, aims), online)
        if self.training:
            self.keep(targets)
            self.keep_clusters(online)
        losses = self._sum_terms(terms, online, targets)
        if of_block:
            losses |= self.block_losses(judged, inputs, mixtures, targets)
        return losses

    def step_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """All comparisons of a step."""
        terms: list[AnyTerm] = [*self.clean_terms(clean)]
        if mixtures and self.mix_head is not None:
            terms = scaled(terms, self.mix_head.clean_weight)
            terms += self.mixture_terms(mixtures, clean)
        return terms + self.cluster_terms()

    def _encode_joined(self, clean: list[View], mixed: list[View]) -> dict[Key, Tensor]:
        """Encodes the first clean view and the mixtures as one batch for batch normalisation, the rest as ever."""
        group = [clean[0], *mixed]
        checks.require_joinable(group)
        whole = self.encode_online(
            [View(clean[0].number, torch.cat([view.images for view in group]))]
        )
        sizes = [len(view.images) for view in group]
        online = {
            Key(view.number, key.region): part
            for key, value in whole.items()
            for view, part in zip(group, value.split(sizes), strict=True)
        }
        return online | self.encode_online(clean[1:]) if clean[1:] else online

    # -- what an adapter fills in ---------------------------------------------------------------------------------

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where the views can't be trained on; called before anything is computed."""
        if not isinstance(inputs, list) or len(inputs) < 2:
            found = f"{len(inputs)} view" if isinstance(inputs, list) else type(inputs).__name__
            raise ValueError(
                f"{type(self).__name__} got {found} and needs a list of at least 2 views: "
                "use MultiView(num_views=2) and default_collate"
            )
        if self.training and len(inputs[0]) < 2:
            raise ValueError(
                f"{type(self).__name__} got a batch of {len(inputs[0])} and needs at least 2 images per device: "
                "raise batch_size, or set drop_last=True in train_dataloader"
            )

    @abstractmethod
    def clean_terms(self, clean: int) -> list[Term]:
        """The parent's comparisons of the clean views."""

    def mixture_terms(self, mixtures: Sequence[MixedView], clean: int) -> list[AnyTerm]:
        """The mix head's comparisons; override to leave out or to rescale some, as the parent's loss asks for."""
        assert self.mix_head is not None
        found: list[AnyTerm] = []
        for term in self.mix_head.terms(mixtures, clean):
            found += self.pair_terms(term) if isinstance(term, Pair) else [term]
        return found

    def pair_terms(self, pair: Pair) -> list[Term]:
        """The method's comparisons of two views that take the place of its clean views 0 and 1."""
        return [
            aligned(pair if term.online.view == 0 else turned(pair), term)
            for term in self.clean_terms(2)
        ]

    @abstractmethod
    def encode_online(self, views: list[View]) -> dict[Key, Tensor]:
        """Encodes views with gradient."""

    def step_momentum(self) -> None:
        """Moves the momentum encoder if the optimizer has stepped since; the only place where it moves."""
        self.passes += 1
        if self._momentum_due:
            self.update_momentum()
            self.move_guide()
            self._momentum_due, self.passes = False, 0

    def update_momentum(self) -> None:
        """Moves the momentum encoder towards the online one. Nothing to do for methods without."""

    @abstractmethod
    def encode_target(self, views: list[View], online: dict[Key, Tensor]) -> dict[Key, Tensor]:
        """Encodes what the online embeddings are compared with."""

    def unnamed_targets(self, mixtures: Sequence[MixedView], clean: int) -> list[Key]:
        """Targets that a bank is to hold though no term of the step compares anything with them."""
        return []

    def keep(self, targets: dict[Key, Tensor]) -> None:
        """Sets aside what goes into banks at the next optimizer step. Nothing to do for methods without."""

    def commit(self) -> None:
        """Writes what was set aside into the banks; the only place where they are written."""

    def after_optimizer_step(self) -> None:
        """Called by itself after each step of the optimizer; call it by hand only where no torch optimizer runs."""
        self.commit()
        self.commit_clusters()
        self._momentum_due = True
