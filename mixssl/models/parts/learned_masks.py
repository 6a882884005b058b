"""Mixtures whose masks a network makes: how they are rendered, and how that network learns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mixssl.mixing import mask_blend
from mixssl.models.backbone_hooks import captured, check_layers, frozen, run_until
from mixssl.models.encoder_options import eager
from mixssl.models.momentum import FusedCosineEMA
from mixssl.models.necks import adjust_mask
from mixssl.models.parts.base import Part, teacher_in_place
from mixssl.registry import MODELS
from mixssl.structures import BLOCK, AnyTerm, MixedView, Step, select

if TYPE_CHECKING:
    from mixssl.models.methods import MixtureMethod


class LearnedMasks(Part):
    """What AMix adds to a step: a Mix Block that makes the masks, and learns from mixtures of its own.

    The *teacher* is an encoder that learns nothing from mixtures: the momentum encoder, or a momentum copy of backbone
    and neck for methods that have none (0.999 to 1 along a cosine). The block reads its maps of the clean view, and is
    judged through it. Only the block gets gradients from its losses: the teacher and whatever else takes part are
    frozen.

    The encoder's mixtures are rendered without gradient and then are mixtures like any other. The block's go through
    backbone and neck of the teacher and then the way of an online embedding. Where the teacher encodes the mixed view
    anyway its maps cost nothing; otherwise it runs up to the layer of the maps.

    Args:
        method: Gets the block as its module ``mix_block``, and ``mix_guide`` where it has no momentum encoder.
        mix_block: Config of the block, like mixssl.MixBlockPlus.

    Raises:
        ValueError: If there is no block, its layer is not in the backbone, or mixtures are to share a batch with a
            clean view.
    """

    def __init__(self, method: MixtureMethod, mix_block: dict | None) -> None:
        mixer = type(method.mixer).__name__
        if mix_block is None:
            raise ValueError(
                f"{mixer} leaves its masks to the model and mix_block of {type(method).__name__} is None: set it, for "
                "instance to dict(type='mixssl.MixBlockPlus', in_channels=256)"
            )
        if method.joint_bn:
            raise ValueError(
                f"{mixer} mixes by what the momentum encoder has seen, too late to share a batch with a clean view: "
                "set joint_bn=False on the model"
            )
        method.mix_block = MODELS.build(mix_block)
        if method.teacher is None:
            online = nn.Sequential(method.backbone, method.neck)
            method.mix_guide = FusedCosineEMA(online, momentum=0.001)
        teacher: Any = method.teacher
        check_layers(teacher.module[0], (method.mix_block.layer,), "mix_block reads")

    def adjust_terms(
        self, method: MixtureMethod, step: Step, terms: list[AnyTerm]
    ) -> list[AnyTerm]:
        """Takes the block's terms aside: the encoder does not learn from them."""
        first = len(step.inputs)
        block = {n for n, mixed in enumerate(step.mixtures, first) if mixed.learned == BLOCK}
        step.block_terms = [term for term in terms if term.online.view in block]
        return [term for term in terms if term.online.view not in block]

    @contextmanager
    def around_targets(self, method: MixtureMethod, step: Step) -> Iterator[None]:
        """Reads the teacher's maps where it encodes targets anyway, and then renders the learned mixtures."""
        block, teacher = method.mix_block, method.teacher
        assert teacher is not None
        backbone: nn.Module = teacher.module[0]
        maps: dict[int, Tensor] = {}
        if method.targets_show_maps:
            views = select(step.views, step.target_ids)
            with eager(backbone), captured(backbone.get_submodule(block.layer)) as found:
                yield
            maps = {view.number: value for view, value in zip(views, found, strict=False)}
        else:
            yield
        self.render(method, step, maps)

    def render(self, method: MixtureMethod, step: Step, maps: dict[int, Tensor]) -> None:
        """Has the block make the masks of learned mixtures; the others stay as they are.

        Args:
            method: With the block and a teacher.
            step: Its mixtures get their pixels.
            maps: The teacher's maps of clean views, by number, as far as there are any; added to.
        """
        block, teacher = method.mix_block, method.teacher
        assert teacher is not None
        with frozen(teacher):
            for source in {mixed.source for mixed in step.mixtures if mixed.learned} - set(maps):
                maps[source] = run_until(teacher.module[0], block.layer, step.inputs[source])
        step.mixtures = [
            render_learned(block, maps[mixed.source], step.inputs, mixed)
            if mixed.learned
            else mixed
            for mixed in step.mixtures
        ]

    def losses(self, method: MixtureMethod, step: Step) -> dict[str, Tensor]:
        """What the block learns from: its terms, judged through the frozen teacher, and losses of its masks."""
        block = method.mix_block
        others = [module for module in method.children() if module is not block]
        judged = Step(step.inputs, step.mixtures, labels=step.labels)
        judged.targets = {eid: target.detach() for eid, target in step.targets.items()}
        with frozen(*others), teacher_in_place(method):
            for view in select(step.views, [term.online for term in step.block_terms]):
                judged.online |= method.encode_online([view])
            losses = method.sum_losses(step.block_terms, judged)
        for mixture in (mixture for mixture in step.mixtures if mixture.learned == BLOCK):
            for name, value in block.mask_losses(mixture.mask, mixture.lam).items():
                losses[name] = losses[name] + value if name in losses else value
        return losses


def render_learned(
    block: Any, maps: Tensor, inputs: Sequence[Tensor], mixture: MixedView
) -> MixedView:
    """Has a Mix Block make the mask of a learned mixture, and blends by it.

    Args:
        block: A :class:`~mixssl.models.necks.MixBlock`.
        maps: What the teacher makes of view ``mixture.source``, without gradient.
        inputs: Clean views, each (N, C, H, W).
        mixture: Without pixels.

    Returns:
        The mixture with pixels and mask: with gradient into the block where the mixture is the block's; else without,
        and the mask adjusted to λ if the block's ``adjust`` says so.
    """
    images, others = inputs[mixture.source], inputs[mixture.partner_view]
    rows = mixture.index, mixture.partner, mixture.lam
    with nullcontext() if mixture.learned == BLOCK else torch.no_grad():
        mask = block(maps, *rows, (images.shape[-2], images.shape[-1]))
        if mixture.learned != BLOCK and block.adjust:
            mask = adjust_mask(mask, mixture.lam)
        mixed = mask_blend(images[mixture.index], others[mixture.partner], mask)
    return mixture._replace(images=mixed, mask=mask)
