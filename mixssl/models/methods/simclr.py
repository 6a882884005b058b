"""SimCLR: views of the same image against the views of all others, within the batch of all devices."""

from typing import Any

import torch
from mmengine.dist import get_rank
from mmpretrain.models import SimCLR
from torch import Tensor

from mixssl.models.losses import contrastive_loss, nt_xent
from mixssl.models.methods.base import MixtureMethod
from mixssl.models.methods.checks import require_joinable
from mixssl.models.parts import add_regions
from mixssl.registry import MODELS
from mixssl.structures import IMAGE, EmbeddingId, Term, View
from mixssl.utils.distributed import gather_rows


@MODELS.register_module()
class MixSimCLR(MixtureMethod, SimCLR):
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
        region_neck: Config of a neck like :class:`~mixssl.models.necks.RegionPool`; None for no regions. Built only
            where the mix head compares regions.
        **kwargs: Of mmpretrain's SimCLR (backbone, neck, head, data_preprocessor, ...) and ``mix_head``,
            ``joint_bn``. With ``joint_bn`` mixtures share the batch of both clean views.
    """

    capabilities = frozenset({"rows", "candidates"})
    mixture_arguments = ("region_neck",)
    targets_are_online = True

    def __init__(self, *args: Any, region_neck: dict | None = None, **kwargs: Any) -> None:
        if region_neck is not None:
            self.capabilities = self.capabilities | {"regions"}
        super().__init__(*args, **kwargs)
        add_regions(self, region_neck)

    def clean_terms(self, clean: int) -> list[Term]:
        """Views 0 and 1; the loss of a pair has both directions."""
        return [Term(EmbeddingId(0), EmbeddingId(1))]

    def encode_online(self, views: list[View]) -> dict[EmbeddingId, Tensor]:
        """Embeddings, normalised, (M, D), float32; the views are one batch, interleaved."""
        if all(view.regions == (IMAGE,) for view in views):
            return self._encode(views, [])
        found = super().encode_online(views)
        return {eid: _unit(value.float()) for eid, value in found.items()}

    def encode_jointly(self, clean: list[View], mixed: list[View]) -> dict[EmbeddingId, Tensor]:
        """Encodes the clean views, interleaved, and the mixtures as one batch."""
        require_joinable([*clean, *mixed])
        return self._encode(clean, mixed)

    def _encode(self, woven: list[View], apart: list[View]) -> dict[EmbeddingId, Tensor]:
        """Encodes all as one batch, the first views interleaved."""
        images = torch.stack([view.images for view in woven], 1).flatten(0, 1)
        images = torch.cat([images, *(view.images for view in apart)]) if apart else images
        z = _unit(self.neck(self.backbone(images))[0].float())
        size = len(woven[0].images)
        first, *rest = z.split([size * len(woven), *(len(view.images) for view in apart)])
        parts = [*first.unflatten(0, (size, len(woven))).unbind(1), *rest]
        return {
            EmbeddingId(view.number): part
            for view, part in zip([*woven, *apart], parts, strict=True)
        }

    def compare(
        self, online: Tensor, targets: dict[EmbeddingId, Tensor], terms: list[Term]
    ) -> list[Tensor]:
        """NT-Xent of pairs: the parent's head for whole views, weights per row for mixtures; see the class."""
        values: dict[int, Tensor] = {}
        with torch.autocast(online.device.type, enabled=False):
            for eid in {term.target: None for term in terms}:
                same = [i for i, term in enumerate(terms) if term.target == eid]
                rows = [i for i in same if terms[i].per_row]
                if len(rows) < len(same):
                    whole = self._contrast(online, targets[eid])  # type: ignore[index]  # no blends
                    values |= dict.fromkeys(same, whole)
                if rows:
                    orders = [terms[i].rows for i in rows]
                    found = nt_xent(online, targets[eid], orders, self.head.temperature)  # type: ignore[index]
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
        return contrastive_loss(self.head, positive, negative)

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
