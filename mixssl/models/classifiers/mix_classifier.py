"""A classifier that learns from mixtures of labelled images, by any mixer of this package."""

from functools import partial
from typing import Any, ClassVar

import torch
from mmpretrain.models import ImageClassifier
from torch import Tensor

from mixssl.mixing import DeferredMixture, Layout, StepRandom
from mixssl.models.backbone_hooks import check_layers, frozen, mixed_hidden
from mixssl.models.classifiers.label_losses import (
    Judged,
    batch_targets,
    check_head,
    mixed_label_loss,
)
from mixssl.models.encoder_options import EncoderOptions
from mixssl.registry import MIXERS, MODELS
from mixssl.structures import MixedView


@MODELS.register_module()
class MixClassifier(EncoderOptions, ImageClassifier):
    """mmpretrain's image classifier, trained on mixtures (Zhang et al. 2018, §2; AMix, eq. 3).

    Each batch gives way to its mixture, and a row's label is λ of its own image's and 1 - λ of its partner's.
    mmpretrain has MixUp, CutMix and ResizeMix as ``batch_augments`` of its data preprocessor. This takes every mixer of
    one view: also a λ per image, a hidden layer's output (ManifoldMix), and, with the labels in place of clusters,
    PuzzleMix by the gradient of the loss (``mixssl.ClusterPuzzleMix``), taken through the frozen classifier.

    Without a mixer it is its parent; its state has the parent's keys in any case, and beside them the two numbers that
    draws follow from.

    Attributes:
        mixture_arguments: Arguments of the class's own constructor that go with the mixture when it is switched off.

    Args:
        backbone: Config, or module.
        neck: Likewise; None for none.
        head: Config of a head that applies a loss to its logits, like LinearClsHead.
        mixer: Config of the mixer; None for none.
        seed: Of the draws, in [0, 2^63); None takes the run's seed. Seed and step are saved with the model.
        **kwargs: Of :class:`~mixssl.models.encoder_options.EncoderOptions`, and of mmpretrain's ImageClassifier.

    Raises:
        ValueError: If the mixer needs a network of its own, or the head or the backbone does not fit.
    """

    mixture_arguments: ClassVar[tuple[str, ...]] = ("mixer", "seed")

    def __init__(
        self,
        backbone: dict,
        neck: dict | None = None,
        head: dict | None = None,
        mixer: dict | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, neck, head, **kwargs)
        self.mixer: Any = None
        if mixer is None:
            return
        self.mixer = MIXERS.build(mixer)
        if self.mixer.learned or self.mixer.layout not in (Layout.ROWS, Layout.HALF):
            raise ValueError(
                f"mixer of {type(self).__name__} is {type(self.mixer).__name__}, which a classifier can't train by "
                "itself: choose a policy like mixssl.CutMix, or set mix_block of mixssl.AMixClassifier"
            )
        check_head(self.head, "head")
        check_layers(self.backbone, self.mixer.layers)
        self.random = StepRandom(seed)

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Runs a training step up to the loss.

        Args:
            inputs: Images, (N, C, H, W), N >= 2.
            data_samples: With a ``gt_label`` or a ``gt_score`` each.

        Returns:
            ``loss_mix``, a scalar; without a mixer the parent's losses.

        Raises:
            ValueError: If there are no labels, or the mixer can't mix this batch.
        """
        if self.mixer is None:
            return super().loss(inputs, data_samples)
        targets = batch_targets(data_samples)
        (mixture,) = (
            self._made(drawn, targets, data_samples)
            for drawn in self.mixer([inputs], self.random())
        )
        with mixed_hidden(self.backbone, mixture):
            feats = self.extract_feat(inputs if mixture.images is None else mixture.images)
        return {"loss_mix": mixed_label_loss(Judged(self.head, feats, targets, mixture))}

    def _made(
        self, mixture: MixedView | DeferredMixture, targets: Tensor, data_samples: list
    ) -> MixedView:
        """The mixture; one that asks for clusters is made of the images' classes."""
        if not isinstance(mixture, DeferredMixture):
            return mixture
        if targets.ndim != 1:
            raise ValueError(
                f"{type(self.mixer).__name__} asks for a class per image and the batch has scores: leave out "
                "to_onehot and batch_augments of the data preprocessor"
            )
        return mixture.render(targets, partial(self.image_saliency, data_samples=data_samples))

    def image_saliency(self, images: Tensor, data_samples: list) -> Tensor:
        """How much each pixel matters to the loss: (N, C, H, W) to (N, H, W), float32 (Kim et al. 2020, §4).

        The root mean square over channels of the gradient. Nothing learns or remembers anything of it.
        """
        with torch.enable_grad(), frozen(self):
            pixels = images.detach().requires_grad_()
            loss = self.head.loss(self.extract_feat(pixels), data_samples)["loss"]
            (gradient,) = torch.autograd.grad(loss, pixels)
        return gradient.float().square().mean(dim=1).sqrt()
