"""SimCLR: views of the same image against the views of all others, within the batch of all devices."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import get_rank
from mmpretrain.models import SimCLR
from torch import Tensor

from mixssl.models.losses import nt_xent
from mixssl.models.methods.base import MixtureMethod, View
from mixssl.models.methods.checks import require_joinable
from mixssl.models.methods.queued import contrast
from mixssl.models.methods.regions import RegionPooling, embed
from mixssl.models.methods.terms import by_rows
from mixssl.registry import MODELS
from mixssl.structures import IMAGE, Key, Term
from mixssl.utils.distributed import gather_rows

__all__ = ["MixSimCLR"]


@MODELS.register_module()
class MixSimCLR(MixtureMethod, RegionPooling, SimCLR):
    """mmpretrain's SimCLR with mixtures (Chen et al. 2020).

    The clean views are one batch for batch normalisation, their images interleaved. A mixture and a clean view, or
    two mixtures, are contrasted as two clean views are: both are anchors, and the negatives are all other rows of the
    two on all devices. A pair of a mixture's row and one of its images weighs what the image weighs in the row; the
    similarities are computed once for both images. Since the loss has both anchors, pairing="cross" and "mutual" are
    the same.

    Un-Mix's Algorithm 1 encodes the clean view once more, in one batch with the mixture; here it is taken from the
    clean batch, which differs in the statistics of batch normalisation and saves a forward pass.

    On one process and without a mixer the parent, bit by bit. Across devices the parent's gradient is too small by
    their number, since it gathers without the other devices' gradients; here it is that of one process on the whole
    batch. The loss that is logged is that of the device's own anchors.

    Regions (local/global CutMix, whose paper has them on MoCo alone) are contrasted as views are, without a queue:
    the negatives of an inside are the other insides of both mixtures, or the outsides it is compared with. Since a
    comparison has both anchors, ``symmetric=True`` of the mix head counts those of like regions twice.

    Args:
        *args: Of mmpretrain's SimCLR.
        **kwargs: Of mmpretrain's SimCLR (backbone, neck, head, data_preprocessor, ...) and ``mix_head``,
            ``joint_bn``. With ``joint_bn`` mixtures share the batch of both clean views.
    """

    offers = frozenset({"rows", "candidates"})
    targets_are_online = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.build_regions()

    def clean_terms(self, clean: int) -> list[Term]:
        """Views 0 and 1; the loss of a pair has both directions."""
        return [Term(Key(0), Key(1))]

    def encode_online(self, views: list[View]) -> dict[Key, Tensor]:
        """Embeddings, normalised, (M, D), float32; the views are one batch, interleaved."""
        if all(view.regions == (IMAGE,) for view in views):
            return self._encode(views, [])
        found: dict[Key, Tensor] = {}
        for view in views:
            found |= embed(view, self.backbone, self.neck, self.region_neck)
        return {key: _unit(value.float()) for key, value in found.items()}

    def _encode_joined(self, clean: list[View], mixed: list[View]) -> dict[Key, Tensor]:
        """Encodes the clean views, interleaved, and the mixtures as one batch."""
        require_joinable([*clean, *mixed])
        return self._encode(clean, mixed)

    def _encode(self, woven: list[View], apart: list[View]) -> dict[Key, Tensor]:
        """Encodes all as one batch, the first views interleaved."""
        images = torch.stack([view.images for view in woven], 1).flatten(0, 1)
        images = torch.cat([images, *(view.images for view in apart)]) if apart else images
        z = _unit(self.neck(self.backbone(images))[0].float())
        size = len(woven[0].images)
        first, *rest = z.split([size * len(woven), *(len(view.images) for view in apart)])
        parts = [*first.unflatten(0, (size, len(woven))).unbind(1), *rest]
        return {Key(view.number): part for view, part in zip([*woven, *apart], parts, strict=True)}

    def encode_target(self, views: list[View], online: dict[Key, Tensor]) -> dict[Key, Tensor]:
        """The online embeddings themselves."""
        keys = [Key(view.number, region) for view in views for region in view.regions]
        return {key: online[key] for key in keys}

    def compare(
        self, online: Tensor, targets: dict[Key, Tensor], terms: list[Term]
    ) -> list[Tensor]:
        """NT-Xent of pairs: the parent's head for whole views, weights per row for mixtures; see the class."""
        values: dict[int, Tensor] = {}
        with torch.autocast(online.device.type, enabled=False):
            for key in {term.target: None for term in terms}:
                same = [i for i, term in enumerate(terms) if term.target == key]
                rows = [i for i in same if by_rows(terms[i])]
                if len(rows) < len(same):
                    whole = self._contrast(online, targets[key])
                    values |= dict.fromkeys(same, whole)
                if rows:
                    orders = [terms[i].rows for i in rows]
                    found = nt_xent(online, targets[key], orders, self.head.temperature)
                    values |= dict(zip(rows, found, strict=True))
        return [values[i] for i in range(len(terms))]

    def _contrast(self, first: Tensor, second: Tensor) -> Tensor:
        """The parent's loss of two views, with this device's rows as anchors, a scalar."""
        anchors = torch.stack([first, second], 1).flatten(0, 1)
        similarity = anchors @ gather_rows(anchors).t()
        rows, columns = similarity.shape
        here = torch.arange(rows, device=anchors.device)
        start = get_rank() * rows
        pair = (start + here - here % 2)[:, None]
        others = torch.arange(columns - 2, device=anchors.device)
        positive = similarity.gather(1, (start + (here ^ 1))[:, None])
        negative = similarity.gather(1, others + 2 * (others >= pair))
        return contrast(self.head, positive, negative)

    def candidate_logits(
        self, online: Tensor, target: Tensor, temperature: float | None
    ) -> list[Tensor]:
        """Logits of the other view's embeddings: this device's, then those of the other devices."""
        with torch.autocast(online.device.type, enabled=False):
            query = online.float() / (temperature or self.head.temperature)
            blocks = [query @ target.float().t()]
            everywhere = gather_rows(target.float())
            if len(everywhere) > len(target):
                start = get_rank() * len(target)
                others = torch.cat([everywhere[:start], everywhere[start + len(target) :]])
                blocks.append(query @ others.t())
            return blocks


def _unit(z: Tensor) -> Tensor:
    """Rows of length one, in the parent's arithmetic."""
    return z / (torch.norm(z, p=2, dim=1, keepdim=True) + 1e-10)
