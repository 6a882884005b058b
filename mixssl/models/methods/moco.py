"""MoCo v1 and v2, asymmetric and symmetric, with regions and at several sizes."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import torch
from mmengine.dist import all_gather
from mmpretrain.models import MoCo
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.mixing import MultiScale
from mixssl.models.losses import contrastive_loss, info_nce, queue_candidates, with_negative
from mixssl.models.memory import (
    Staged,
    batch_shuffle,
    batch_unshuffle,
    check_queue,
    enqueue,
    local_rows,
)
from mixssl.models.methods.base import MixtureMethod
from mixssl.models.momentum import FusedCosineEMA, FusedEMA
from mixssl.models.parts import Part, add_regions
from mixssl.registry import MODELS
from mixssl.structures import (
    GLOBAL,
    IMAGE,
    LOCAL,
    AnyTerm,
    Blend,
    EmbeddingId,
    Step,
    Term,
    View,
    evenly,
)
from mixssl.utils.errors import require


@MODELS.register_module()
class MixMoCo(MixtureMethod, MoCo):
    """mmpretrain's MoCo with mixtures (He et al. 2020; v2: Chen et al. 2020).

    Without a mixer and asymmetric, loss, gradients, buffers and state keys are the parent's, bit by bit. Keys enter
    the queue and the momentum encoder moves once per optimizer step, under gradient accumulation too. Only clean keys
    are enqueued unless ``queue_mixtures`` is set. The negatives' logits of a mixture are computed once for all its
    terms, in fp32.

    With regions (local/global CutMix) there are three queues: ``queue`` of clean keys, ``queue_local`` of the insides
    and ``queue_global`` of the outsides of the key mixtures' boxes. A query is contrasted with the queue of what its
    key is: an inside compared with an outside meets the outsides. The authors' code has no global queue; its way is
    ``original_key=True`` of :class:`~mixssl.models.heads.InterLocalGlobalHead`.

    With several sizes (multi-scale Un-Mix, §4.3) view 2s is compared with view 2s + 1, each size has a queue of its
    own, and the losses are summed over the sizes.

    Args:
        symmetric: Also compare view 1 with the key of view 0 and enqueue both keys, as in the CIFAR demo of MoCo's
            authors; the two losses are added.
        key_views: Views whose mean is the key, >= 1: with 2, views 1 and 2 are encoded as one batch, the mean of what
            the projector makes of them, normalised, is the positive key and enters the queue (MeanEnc; Wang et al.
            2022). Only asymmetric and of one size.
        extra_sizes: Width in pixels of each further pair of views; views 0 and 1 have another size.
        share_queue: Whether all sizes share one queue; the paper finds that it hurts.
        queue_mixtures: Whether the keys of whole mixtures are enqueued too, behind the clean ones of the step, so that
            negatives are clean images and mixtures (Un-Mix §4.2, which finds clean keys enough). A mixture whose key no
            term names then costs a forward pass of the momentum encoder. Only for mixers that make pixels themselves.
        hard_negatives: Config of :class:`~mixssl.models.heads.MoCHiHead`, which adds negatives to the comparisons that
            weigh no rows, such as the clean ones; None for the queue's alone.
        end_momentum: Where ``momentum`` goes to along half a cosine over the run, in [0, 1]: ``momentum=0.001,
            end_momentum=0.0`` is 0.999 to 1, which AMix states for its classifiers (§4.1). None for a constant
            momentum, MoCo's own and, by §4.2, AMix's on MoCo v2.
        region_neck: Config of a neck like :class:`~mixssl.models.necks.RegionPool`; None for no regions. Built only
            where the mix head compares regions.
        region_momentum: Whether keys of regions go through a momentum copy of that neck; otherwise through the neck
            that trains, without gradient, as in the authors' code of local/global CutMix.
        **kwargs: Of mmpretrain's MoCo (backbone, neck, head, queue_len, feat_dim, momentum, data_preprocessor, ...)
            and of :class:`MixtureMethod` (``mix_head``, ``joint_bn``). ``momentum`` is the weight of the new value,
            0.001 for the papers' 0.999.

    Raises:
        ValueError: In training, if the total batch does not divide ``queue_len``; if the views' sizes, the mixer's
            and ``extra_sizes`` don't agree; if ``queue_mixtures`` is set and the mixer makes no pixels; if
            ``end_momentum`` is given and the length of the run is unknown.
    """

    capabilities = frozenset({"rows", "candidates", "scales", "cells"})
    mixture_arguments = ("queue_mixtures", "region_neck", "region_momentum")

    def __init__(
        self,
        *args: Any,
        symmetric: bool = False,
        key_views: int = 1,
        extra_sizes: Sequence[int] = (),
        share_queue: bool = False,
        queue_mixtures: bool = False,
        hard_negatives: dict | None = None,
        end_momentum: float | None = None,
        region_neck: dict | None = None,
        region_momentum: bool = True,
        **kwargs: Any,
    ) -> None:
        if region_neck is not None:
            self.capabilities = self.capabilities | {"regions"}
        super().__init__(*args, **kwargs)
        if end_momentum is not None:
            self._let_momentum_end(end_momentum)
        self.hard_negatives = None if hard_negatives is None else MODELS.build(hard_negatives)
        if self.hard_negatives is not None:
            self.hard_negatives.check_queue_len(self.queue_len)
        if key_views < 1 or (key_views > 1 and (symmetric or extra_sizes)):
            raise ValueError(
                f"key_views of MixMoCo is {key_views} and must be >= 1, and 1 where symmetric or extra_sizes is set: "
                "2 is usual for asymmetric MoCo"
            )
        self.symmetric = symmetric
        self.key_views = key_views
        self.extra_sizes = tuple(extra_sizes)
        self.share_queue = share_queue
        self._check_sizes()
        self.queue_mixtures = queue_mixtures and self.mixer is not None
        if self.queue_mixtures:
            self.parts.append(_MixtureKeys(self))
        self._sizes: dict[int, int] = {}
        regions = add_regions(self, region_neck, self.encoder_k if region_momentum else None)
        self._banks: dict[tuple[int, str], str] = {}
        self._staged: dict[str, Staged[Tensor]] = {}
        for size in (0, *self.extra_sizes):
            self._add_bank(size, IMAGE, self.queue.shape[0])
            if regions is not None:
                self._add_bank(size, LOCAL, regions.width)
                self._add_bank(size, GLOBAL, regions.width)

    def _let_momentum_end(self, end: float) -> None:
        """Has the key encoder's momentum go to an end along a cosine."""
        require("[0, 1]", self, "it weighs the new value", end_momentum=end)
        online, start = nn.Sequential(self.backbone, self.neck), self.encoder_k.momentum
        self.encoder_k: FusedEMA = FusedCosineEMA(online, momentum=start, end_momentum=end)

    def _check_sizes(self) -> None:
        """Raises a ValueError where the mixer mixes another number of sizes than the model has."""
        if len(set(self.extra_sizes)) < len(self.extra_sizes) or any(
            size < 1 for size in self.extra_sizes
        ):
            raise ValueError(
                f"extra_sizes of MixMoCo is {self.extra_sizes} and must name distinct widths >= 1, like (160,)"
            )
        scales = self.mixer.scales if isinstance(self.mixer, MultiScale) else 1
        if self.mixer is not None and scales != 1 + len(self.extra_sizes):
            raise ValueError(
                f"the mixer mixes views of {scales} sizes and extra_sizes of MixMoCo is {self.extra_sizes}: "
                "set scales=1 + len(extra_sizes) in mixssl.MultiScale, around the mixer of one size"
            )

    def _add_bank(self, size: int, region: str, width: int) -> None:
        """Names the queue of a size, 0 for that of views 0 and 1, and of a region, and fills a new one with noise."""
        own = size if not self.share_queue else 0
        # The parent's own is plain "queue".
        name = "queue" + (f"_{own}" if own else "") + ("" if region == IMAGE else f"_{region}")
        self._banks[size, region] = name
        if name not in self._staged and name != "queue":
            self.register_buffer(name, F.normalize(torch.randn(width, self.queue_len), dim=0))
            self.register_buffer(f"{name}_ptr", torch.zeros(1, dtype=torch.long))
        self._staged.setdefault(name, Staged())

    def _bank(self, key: EmbeddingId | Blend) -> str:
        """Name of the queue that holds keys like this one."""
        return self._banks[self._sizes.get(key.view, 0), key.region]

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views are missing, of a wrong size, or the batch does not divide the queue."""
        super().check_batch(inputs)
        if self.training:
            check_queue(self.queue_len, len(inputs[0]))
        if len(inputs) <= self.key_views:
            raise ValueError(
                f"MixMoCo got {len(inputs)} views and needs one and {self.key_views} for its key: set num_views of "
                f"MultiView to {1 + self.key_views}, or key_views of the model to {len(inputs) - 1}"
            )
        if self.extra_sizes:
            widths = [view.shape[-1] for view in inputs]
            further = [size for size in self.extra_sizes for _ in range(2)]
            if widths[2:] != further or widths[0] != widths[1] or widths[0] in further:
                raise ValueError(
                    f"MixMoCo got views {widths} pixels wide and needs two of another size, then {further}: "
                    "make extra_sizes and the crops in MultiView agree"
                )

    @property
    def teacher(self) -> FusedEMA:
        """The momentum encoder."""
        return self.encoder_k

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 against the key of view 1, the other way round if symmetric; so on for each further size."""
        if self.key_views > 1 and clean > 2:
            return [Term(EmbeddingId(0), self._mean_key())]
        terms = []
        for first in range(0, clean, 2) if self.extra_sizes else (0,):
            one, other = EmbeddingId(first), EmbeddingId(first + 1)
            terms.append(Term(one, other))
            if self.symmetric:
                terms.append(Term(other, one))
        return terms

    def _mean_key(self) -> EmbeddingId | Blend:
        """The key of the clean query: the mean of all views but the first."""
        return evenly([EmbeddingId(1 + view) for view in range(self.key_views)])

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Queries, normalised, (M, D); each view is its own batch for batch normalisation."""
        queries = self.embed(views, self.backbone, self.neck)
        for eid, query in queries.items():
            queries[eid] = F.normalize(query, dim=1)
        return queries

    @torch.no_grad()
    def encode_target(
        self, views: list[View], online: dict[EmbeddingId, Tensor]
    ) -> dict[EmbeddingId, Tensor]:
        """Keys, normalised, (M, D), encoded in a shuffled order across devices; boxes travel with their images."""
        keys: dict[Any, Tensor] = {}
        if self.key_views > 1:
            joint = [view for view in views if 1 <= view.number <= self.key_views]
            views = [view for view in views if not 1 <= view.number <= self.key_views]
            images, order = batch_shuffle(torch.cat([view.images for view in joint]))
            found = self.embed([View(1, images)], *self.encoder_k.module, online=False)
            rows = batch_unshuffle(found[EmbeddingId(1)], order).chunk(len(joint))
            raw = {EmbeddingId(view.number): key for view, key in zip(joint, rows, strict=True)}
            keys = {eid: F.normalize(key, dim=1) for eid, key in raw.items()}
            mean = self._mean_key()
            assert isinstance(mean, Blend) and len(joint) == self.key_views
            keys[mean] = F.normalize(mean.of(raw), dim=1)  # of the projections, not of the keys
        if self.extra_sizes:
            widths = {view.number: view.images.shape[-1] for view in views}
            self._sizes = {n: size if size in self.extra_sizes else 0 for n, size in widths.items()}
        for view in views:
            images, order = batch_shuffle(view.images)
            shuffled = view._replace(images=images)
            if view.regions != (IMAGE,):
                assert view.boxes is not None
                shuffled = shuffled._replace(boxes=local_rows(view.boxes, order))
            for eid, key in self.embed([shuffled], *self.encoder_k.module, online=False).items():
                keys[eid] = batch_unshuffle(F.normalize(key, dim=1), order)
        return keys

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """InfoNCE against the queue: the parent's head for clean terms, one shared sum of negatives for mixtures."""
        negatives: dict[str, Tensor] = {}
        shared: dict[str, Tensor] = {}
        losses, temperature = [], self.head.temperature
        plain = not any(map(attrgetter("per_row"), terms))
        with torch.autocast(online.device.type, enabled=False):
            query = online.float()
            for target, term in zip(targets, terms, strict=True):
                bank = self._bank(term.target)
                if bank not in negatives:
                    queue = getattr(self, bank)
                    logits = torch.einsum("nc,ck->nk", [query, queue])
                    if plain and self.hard_negatives is not None:
                        logits = self.hard_negatives(query, queue, logits)
                    negatives[bank] = logits
                positive = torch.einsum("nc,nc->n", [query, target.float()])
                if plain:
                    losses.append(
                        contrastive_loss(self.head, positive.unsqueeze(-1), negatives[bank])
                    )
                    continue
                if bank not in shared:  # both images of a mixture meet the same negatives
                    shared[bank] = (negatives[bank] / temperature).logsumexp(dim=1)
                others = shared[bank]
                if isinstance(term.negative, Tensor):
                    others = with_negative(others, query, term.negative, temperature)
                losses.append(info_nce(positive / temperature, others))
        return losses

    def candidate_logits(
        self, online: Tensor, target: Tensor, temperature: float | None
    ) -> list[Tensor]:
        """Logits of this device's keys and of the queue; no key of another device is among them (MixCo's code)."""
        return queue_candidates(online, target, self.queue, temperature or self.head.temperature)

    @torch.no_grad()
    def stage(self, targets: dict[EmbeddingId, Tensor]) -> None:
        """Stages the clean keys and the regions of all devices, and the mixtures where the queue holds them."""
        views = 1 + self.key_views + 2 * len(self.extra_sizes)
        clean = set(map(attrgetter("target"), self.clean_terms(views)))
        for eid in sorted(targets, key=attrgetter("view", "region")):
            mixed = self.queue_mixtures and eid.view >= views
            if eid in clean or eid.region != IMAGE or mixed:
                keys = torch.cat(all_gather(targets[eid]), dim=0)
                self._staged[self._bank(eid)].put(keys, len(keys), limit=self.queue_len)

    def enqueue_staged(self) -> None:
        """Enqueues the staged keys, oldest first."""
        for bank, staged in self._staged.items():
            while staged:
                enqueue(getattr(self, bank), getattr(self, f"{bank}_ptr"), staged.popleft())


class _MixtureKeys(Part):
    """Has the momentum encoder encode every mixture, so that the queue can hold its key."""

    def __init__(self, method: MixMoCo) -> None:
        mixer = method.mixer
        if mixer is not None and (mixer.learned or mixer.layers):
            raise ValueError(
                f"queue_mixtures of MixMoCo is True and {type(mixer).__name__} makes no pixels that the momentum "
                "encoder could see: set queue_mixtures=False, or choose a mixer of pixels, like mixssl.UnMix"
            )

    def adjust_terms(
        self, method: MixtureMethod, step: Step, terms: list[AnyTerm]
    ) -> list[AnyTerm]:
        """Asks for the keys of all mixtures, whatever the terms name."""
        first = len(step.inputs)
        step.target_ids += [EmbeddingId(first + i) for i in range(len(step.mixtures))]
        return terms
