"""A classifier that learns from mixtures whose masks a network makes, which learns along."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from mmpretrain.registry import MODELS as UPSTREAM_MODELS
from torch import Tensor, nn

from mixssl.mixing import AMix, StepRandom
from mixssl.models.backbone_hooks import captured, check_layers, frozen, run_until
from mixssl.models.classifiers.label_losses import (
    LABEL_LOSSES,
    Judged,
    batch_targets,
    check_head,
    mixed_label_loss,
)
from mixssl.models.classifiers.mix_classifier import MixClassifier
from mixssl.models.encoder_options import eager
from mixssl.models.momentum import FollowsOptimizer, FusedCosineEMA
from mixssl.models.parts import render_learned
from mixssl.registry import MODELS
from mixssl.structures import MixedView

HEADS = {"clean": "head", "mixed": "mixed_head"}
"""Attribute of the head that is trained on clean images, and on mixtures."""


@MODELS.register_module()
class AMixClassifier(FollowsOptimizer, MixClassifier):
    """mmpretrain's image classifier with AMix or AutoMix (AMix, §2.2, §3.3, §4.1).

    A Mix Block reads the maps that a momentum encoder makes of the clean images and makes masks of them. The encoder
    learns from the clean images (``head``) and from mixtures by masks without gradient (``mixed_head``). The block
    learns from mixtures of its own, with their own λ and partners, that the frozen momentum encoder has to recognise,
    and from the mean and variance of its masks. No parameter gets a gradient from the other's losses.

    The momentum encoder (backbone, neck and ``mixed_head``) moves once per optimizer step, its momentum going to 1
    along half a cosine over the run. It normalises by the batch in training; its running statistics are the encoder's.

    Without a block it is its parent, which learns from the mixtures of a ``mixer`` or, without one too, from clean
    images. Its state has the parent's keys and others beside them, so that an ImageClassifier of the same backbone,
    neck and head loads its checkpoints. Batches may have scores for labels, of
    mmpretrain's batch augmentations too.

    Differences from the authors' code: no λ is too small for a learned mask; momentum goes by the cosine from the first
    step on and ends at exactly 1; running statistics of the momentum encoder follow the encoder.

    Args:
        backbone: Config, or module.
        neck: Likewise; None for none.
        head: Config of a head for clean images.
        mix_block: Config of the block, like mixssl.MixBlockPlus or mixssl.MixBlock; None for none of all this.
        mixed_head: Config of a head for mixtures; None for one like ``head``.
        block_losses: What the block learns from: "ce", the head's own loss for both labels; "pbce", cross-entropy
            between the two classes alone; "bce", between the two images alone. Rows of the paper's Table 1.
        temperature: Of "bce", > 0.
        alpha: Of λ ~ Beta(alpha, alpha), > 0; searched for in {0.2, 0.5, 1, 2, 4} by the paper, 2 in the authors' code.
        per_sample: Whether each image has a λ of its own; otherwise one λ per batch, as in the authors' code.
        base_momentum: Weight of the new value at the start, in [0, 1]: 0.001 for a momentum of 0.999.
        predict_with: Which head predicts, "clean" or "mixed"; the paper does not say.
        mixer: Config of a mixer to learn from in the block's place; None for none.
        seed: Of λ and partners, in [0, 2^63); None takes the run's seed. Seed and step are saved with the model.
        **kwargs: Of :class:`~mixssl.models.encoder_options.EncoderOptions`, and of mmpretrain's ImageClassifier.

    Raises:
        ValueError: If an argument lies outside its range, a head does not fit, the backbone has no such layer, or there
            are a block and a mixer; in training, if the length of the run is unknown.
    """

    mixture_arguments = (
        *("mix_block", "mixed_head", "block_losses", "temperature", "alpha", "per_sample"),
        *("base_momentum", "predict_with"),
    )

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        head: dict | None = None,
        mix_block: dict | None = None,
        mixed_head: dict | None = None,
        block_losses: Sequence[str] = ("ce",),
        temperature: float = 0.2,
        alpha: float = 2.0,
        per_sample: bool = False,
        base_momentum: float = 0.001,
        predict_with: str = "clean",
        mixer: dict | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        _check_arguments(block_losses, temperature, base_momentum, predict_with)
        mixed_head = deepcopy(head if mixed_head is None else mixed_head)
        if mix_block is not None and mixer is not None:
            raise ValueError(
                "mix_block and mixer of AMixClassifier are both set, and the block makes the mixtures: set one to None"
            )
        super().__init__(backbone, neck, head, mixer=mixer, seed=seed, **kwargs)
        self.mix_block: Any = None
        self._predicting = "head"
        if mix_block is None:
            return
        self._predicting = HEADS[predict_with]
        self.mix_block = MODELS.build(mix_block)
        check_head(self.head, "head")
        built = isinstance(mixed_head, nn.Module)
        self.mixed_head: Any = mixed_head if built else UPSTREAM_MODELS.build(mixed_head)
        check_head(self.mixed_head, "mixed_head")
        check_layers(self.backbone, (self.mix_block.layer,))
        self.block_losses = tuple(dict.fromkeys(block_losses))
        self.temperature = temperature
        self.mixer = AMix(alpha, per_sample)
        self.random = StepRandom(seed)
        self.momentum_encoder = FusedCosineEMA(self._trunk(), momentum=base_momentum)

    def _trunk(self) -> nn.Sequential:
        """What the momentum encoder follows."""
        neck = self.neck if self.with_neck else nn.Identity()
        return nn.Sequential(self.backbone, neck, self.mixed_head)

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = "tensor"
    ) -> Any:
        """As the parent; logits and predictions are those of the head that ``predict_with`` names."""
        if mode == "tensor" and self.with_head:
            return getattr(self, self._predicting)(self.extract_feat(inputs))
        return super().forward(inputs, data_samples, mode)

    def predict(self, inputs: Tensor, data_samples: list | None = None, **kwargs: Any) -> list[Any]:
        """As the parent, by the head that ``predict_with`` names."""
        head = getattr(self, self._predicting)
        return head.predict(self.extract_feat(inputs), data_samples, **kwargs)

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Runs a training step up to the loss.

        Args:
            inputs: Images, (N, C, H, W), N >= 2.
            data_samples: With a ``gt_label`` or a ``gt_score`` each.

        Returns:
            Scalars by name: ``loss_clean`` and ``loss_mix`` for the encoder, ``loss_block_ce`` and the like,
            ``loss_mask_mean`` and ``loss_mask_var`` for the block, and what the head adds to its loss. Without a block
            the parent's.

        Raises:
            ValueError: If there are no labels, or fewer than two images.
        """
        if self.mix_block is None:
            return super().loss(inputs, data_samples)
        targets = batch_targets(data_samples)
        if self.training:
            self.step_momentum()
        drawn = self.mixer([inputs], self.random())
        maps, clean = self._read(inputs)
        for_encoder, for_block = (
            render_learned(self.mix_block, maps, [inputs], mixture) for mixture in drawn
        )

        losses = self.head.loss(self.extract_feat(inputs), data_samples)
        # A key "loss" would take the place of the logged total.
        losses["loss_clean"] = losses.pop("loss")
        feats = self.extract_feat(for_encoder.images)
        losses["loss_mix"] = mixed_label_loss(Judged(self.mixed_head, feats, targets, for_encoder))
        return losses | self._losses_of_block(for_block, targets, clean)

    def update_momentum(self) -> None:
        """Moves the momentum encoder."""
        self.momentum_encoder.update_parameters(self._trunk(), self.passes)

    @torch.no_grad()
    def _read(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """The momentum encoder's maps of clean images and, where a loss asks for them, its features."""
        backbone, neck, head = self.momentum_encoder.module
        layer = self.mix_block.layer
        with frozen(self.momentum_encoder):
            if "bce" not in self.block_losses:
                return run_until(backbone, layer, images), None
            with eager(backbone), captured(backbone.get_submodule(layer)) as found:
                clean = head.pre_logits(neck(backbone(images)))
        return found[0], clean

    def _losses_of_block(
        self, mixture: MixedView, targets: Tensor, clean: Tensor | None
    ) -> dict[str, Tensor]:
        """What the block learns from."""
        backbone, neck, head = self.momentum_encoder.module
        with frozen(self.momentum_encoder):
            feats = neck(backbone(mixture.images))
            judged = Judged(head, feats, targets, mixture, clean, self.temperature)
            losses = {
                f"loss_block_{name}": LABEL_LOSSES[name](judged) for name in self.block_losses
            }
        return losses | self.mix_block.mask_losses(mixture.mask, mixture.lam)

    @torch.no_grad()
    def render_mixtures(
        self, inputs: Sequence[Tensor], mixtures: Sequence[MixedView]
    ) -> list[MixedView]:
        """Renders what ``self.mixer`` has drawn, to be looked at: no gradient, nothing learned or remembered.

        Args:
            inputs: One batch of clean images, (N, C, H, W), in a list.
            mixtures: Of them.

        Returns:
            The mixtures with pixels and masks.
        """
        with frozen(self):
            maps = self._read(inputs[0])[0]
            return [render_learned(self.mix_block, maps, inputs, mixture) for mixture in mixtures]


def _check_arguments(
    block_losses: Sequence[str], temperature: float, base_momentum: float, predict_with: str
) -> None:
    """Raises a ValueError where an argument lies outside its range."""
    known = ", ".join(LABEL_LOSSES)
    if isinstance(block_losses, str) or not block_losses or set(block_losses) - set(LABEL_LOSSES):
        raise ValueError(
            f"block_losses is {block_losses!r} and must name one or more of {known}, like ('ce', 'pbce')"
        )
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature} and must be > 0: the default is 0.2")
    if not 0 <= base_momentum <= 1:
        raise ValueError(
            f"base_momentum is {base_momentum} and must lie in [0, 1]: it is the weight of the new value, 0.001 for a "
            "momentum of 0.999"
        )
    if predict_with not in HEADS:
        raise ValueError(f"predict_with is {predict_with!r} and must be one of {', '.join(HEADS)}")
