"""MoCo v1 and v2, asymmetric and symmetric, with regions and at several sizes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import all_gather
from mmpretrain.models import MoCo
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.mixing import MultiScale
from mixssl.models.losses import info_nce
from mixssl.models.memory import check_queue, enqueue
from mixssl.models.methods.averaging import FusedCosineEMA, FusedEMA
from mixssl.models.methods.base import MixtureMethod, View
from mixssl.models.methods.cosine import check_cosine_momentum, move_along_cosine
from mixssl.models.methods.queued import contrast, dealt, queue_candidates, shuffled, unshuffled
from mixssl.models.methods.regions import RegionPooling, embed
from mixssl.models.methods.terms import by_rows
from mixssl.registry import MODELS
from mixssl.structures import GLOBAL, IMAGE, LOCAL, Key, MixedView, Term

__all__ = ["MixMoCo"]


@MODELS.register_module()
class MixMoCo(MixtureMethod, RegionPooling, MoCo):
    """mmpretrain's MoCo with mixtures (He et al. 2020; v2: Chen et al. 2020).

    Without a mixer and asymmetric, loss, gradients, buffers and state keys are the parent's, bit by bit. Keys enter
    the queue and the momentum encoder moves once per optimizer step, under gradient accumulation too. Only clean keys
    are enqueued unless ``queue_mixtures`` is set. The negatives' logits of a mixture are computed once for all its
    terms, in fp32.

    With regions (local/global CutMix) there are three queues: ``queue`` of clean keys, ``queue_local`` of the insides
    and ``queue_global`` of the outsides of the key mixtures' boxes. A query is contrasted with the queue of what its
    key
    is: an inside compared with an outside meets the outsides. The authors' code has no global queue; its way is
    ``original_key=True`` of :class:`~mixssl.models.heads.InterLocalGlobalHead`.

    With several sizes (multi-scale Un-Mix, §4.3) view 2s is compared with view 2s + 1, each size has a queue of its
    own, and the losses are summed over the sizes.

    Args:
        symmetric: Also compare view 1 with the key of view 0 and enqueue both keys, as in the CIFAR demo of MoCo's
            authors; the two losses are added.
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
        **kwargs: Of mmpretrain's MoCo (backbone, neck, head, queue_len, feat_dim, momentum, data_preprocessor, ...),
            of :class:`RegionPooling` (``region_neck``, ``region_momentum``) and of :class:`MixtureMethod`
            (``mix_head``, ``joint_bn``). ``momentum`` is the weight of the new value, 0.001 for the papers' 0.999.

    Raises:
        ValueError: In training, if the total batch does not divide ``queue_len``; if the views' sizes, the mixer's
            and ``extra_sizes`` don't agree; if ``queue_mixtures`` is set and the mixer makes no pixels; if
            ``end_momentum`` is given and the length of the run is unknown.
    """

    offers = frozenset({"rows", "candidates", "scales"})
    mixture_arguments = ("queue_mixtures",)

    def __init__(
        self,
        *args: Any,
        symmetric: bool = False,
        extra_sizes: Sequence[int] = (),
        share_queue: bool = False,
        queue_mixtures: bool = False,
        hard_negatives: dict | None = None,
        end_momentum: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.end_momentum = end_momentum
        if end_momentum is not None:
            self._let_momentum_end(end_momentum)
        self.hard_negatives = None if hard_negatives is None else MODELS.build(hard_negatives)
        if self.hard_negatives is not None:
            self.hard_negatives.check_queue_len(self.queue_len)
        self.symmetric = symmetric
        self.extra_sizes = tuple(extra_sizes)
        self.share_queue = share_queue
        self._check_sizes()
        self.queue_mixtures = queue_mixtures
        if queue_mixtures and self.mixer is not None and (self.mixer.learned or self.mixer.layers):
            raise ValueError(
                f"queue_mixtures of MixMoCo is True and {type(self.mixer).__name__} makes no pixels that the momentum "
                "encoder could see: set queue_mixtures=False, or choose a mixer of pixels, like mixssl.UnMix"
            )
        self._kept: dict[str, deque[Tensor]] = {}
        self._widths: dict[int, int] = {}
        regions = [LOCAL, GLOBAL] if self.build_regions(self.encoder_k) else []
        for size in (0, *([] if share_queue else self.extra_sizes)):
            for region in (IMAGE, *regions):
                self._add_bank(_bank_name(size, region), region)

    def _let_momentum_end(self, end: float) -> None:
        """Has the key encoder's momentum go to an end along a cosine."""
        if not 0 <= end <= 1:
            raise ValueError(
                f"end_momentum of MixMoCo is {end} and must lie in [0, 1], or be None: it weighs the new value"
            )
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

    def _add_bank(self, name: str, region: str) -> None:
        """Registers a queue of random keys, unless it is the parent's own."""
        if name == "queue":
            return
        width = self.queue.shape[0] if region == IMAGE else self.region_width
        self.register_buffer(name, F.normalize(torch.randn(width, self.queue_len), dim=0))
        self.register_buffer(f"{name}_ptr", torch.zeros(1, dtype=torch.long))

    def _bank(self, key: Key) -> str:
        """Name of the queue that holds keys like this one."""
        width = self._widths[key.view]
        own = width in self.extra_sizes and not self.share_queue
        return _bank_name(width if own else 0, key.region)

    def check_batch(self, inputs: list[Tensor]) -> None:
        """Raises a ValueError where views are missing, of a wrong size, or the batch does not divide the queue."""
        super().check_batch(inputs)
        if self.training:
            if self.end_momentum is not None:
                check_cosine_momentum(self)
            check_queue(self.queue_len, len(inputs[0]))
        if self.extra_sizes:
            widths = [view.shape[-1] for view in inputs]
            further = [size for size in self.extra_sizes for _ in range(2)]
            if widths[2:] != further or widths[0] != widths[1] or widths[0] in further:
                raise ValueError(
                    f"MixMoCo got views {widths} pixels wide and needs two of another size, then {further}: "
                    "make extra_sizes and the crops in MultiView agree"
                )

    @property
    def momentum_guide(self) -> FusedEMA:
        """The momentum encoder."""
        return self.encoder_k

    def clean_terms(self, clean: int) -> list[Term]:
        """View 0 against the key of view 1, the other way round if symmetric; so on for each further size."""
        firsts = range(0, clean, 2) if self.extra_sizes else (0,)
        forth = [Term(Key(first), Key(first + 1)) for first in firsts]
        return (
            forth + [Term(term.target, term.online) for term in forth] if self.symmetric else forth
        )

    def encode_online(self, views: list[View]) -> dict[Key, Tensor]:
        """Queries, normalised, (M, D); each view is its own batch for batch normalisation."""
        return {
            key: F.normalize(value, dim=1)
            for view in views
            for key, value in embed(view, self.backbone, self.neck, self.region_neck).items()
        }

    def update_momentum(self) -> None:
        """Moves the key encoder."""
        online = nn.Sequential(self.backbone, self.neck)
        if self.end_momentum is None:
            self.encoder_k.update_parameters(online)
        else:
            move_along_cosine(self.encoder_k, online, self.passes)
        self.update_region_momentum(self.encoder_k)

    @torch.no_grad()
    def encode_target(self, views: list[View], online: dict[Key, Tensor]) -> dict[Key, Tensor]:
        """Keys, normalised, (M, D), encoded in a shuffled order across devices; boxes travel with their images."""
        keys, (backbone, neck) = {}, self.encoder_k.module
        self._widths = {view.number: view.images.shape[-1] for view in views}
        for view in views:
            images, order = shuffled(view.images)
            boxes = view.boxes
            if boxes is not None and view.regions != (IMAGE,):
                boxes = dealt(boxes, order)
            moved = view._replace(images=images, boxes=boxes)
            for key, value in embed(moved, backbone, neck, self.target_region_neck).items():
                keys[key] = unshuffled(F.normalize(value, dim=1), order)
        return keys

    def pair_losses(self, online: Tensor, targets: list[Tensor], terms: list[Term]) -> list[Tensor]:
        """InfoNCE against the queue: the parent's head for clean terms, one shared sum of negatives for mixtures."""
        with torch.autocast(online.device.type, enabled=False):
            query = online.float()
            banks = [self._bank(term.target) for term in terms]
            negatives = {
                bank: torch.einsum("nc,ck->nk", [query, getattr(self, bank)])
                for bank in dict.fromkeys(banks)
            }
            positives = [torch.einsum("nc,nc->n", [query, target.float()]) for target in targets]
            pairs = list(zip(positives, banks, strict=True))
            if not any(by_rows(term) for term in terms):
                if self.hard_negatives is not None:
                    negatives = {
                        bank: self.hard_negatives(query, getattr(self, bank), logits)
                        for bank, logits in negatives.items()
                    }
                return [
                    contrast(self.head, positive.unsqueeze(-1), negatives[bank])
                    for positive, bank in pairs
                ]
            temperature = self.head.temperature
            lse = {
                bank: (logits / temperature).logsumexp(dim=1) for bank, logits in negatives.items()
            }
            return [info_nce(positive / temperature, lse[bank]) for positive, bank in pairs]

    def candidate_logits(
        self, online: Tensor, target: Tensor, temperature: float | None
    ) -> list[Tensor]:
        """Logits of this device's keys and of the queue; no key of another device is among them (MixCo's code)."""
        return queue_candidates(online, target, self.queue, temperature or self.head.temperature)

    def unnamed_targets(self, mixtures: Sequence[MixedView], clean: int) -> list[Key]:
        """The mixtures, where the queue holds them."""
        return [Key(clean + i) for i in range(len(mixtures))] if self.queue_mixtures else []

    @torch.no_grad()
    def keep(self, targets: dict[Key, Tensor]) -> None:
        """Sets aside the keys to enqueue, of all devices; no more than a queue holds, should nothing step."""
        views = 2 + 2 * len(self.extra_sizes)
        clean = {term.target for term in self.clean_terms(views)}
        for target in sorted(targets):
            mixed = self.queue_mixtures and target.view >= views
            if target in clean or target.region != IMAGE or mixed:
                kept = self._kept.setdefault(self._bank(target), deque())
                kept.append(torch.cat(all_gather(targets[target]), dim=0))
                if sum(map(len, kept)) > self.queue_len:
                    kept.popleft()

    def commit(self) -> None:
        """Enqueues the keys set aside, oldest first."""
        for bank, kept in self._kept.items():
            while kept:
                enqueue(getattr(self, bank), getattr(self, f"{bank}_ptr"), kept.popleft())


def _bank_name(size: int, region: str) -> str:
    """Name of the queue of a size, 0 for that of views 0 and 1, and of a region; the parent's is plain "queue"."""
    return "queue" + (f"_{size}" if size else "") + ("" if region == IMAGE else f"_{region}")
