"""What can be refused before a step is computed: mixers, heads and methods that don't fit."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mixssl.models.backbone_hooks import check_layers
from mixssl.models.heads import MixHead
from mixssl.structures import IMAGE, View
from mixssl.utils.names import did_you_mean

if TYPE_CHECKING:
    from mixssl.models.methods.base import MixtureMethod

SET_CLUSTERS = "set clusters on the model, like dict(type='mixssl.ODC', num_images=100000), and add mixssl.ODCHook"


def check_arguments(method: type, given: Iterable[str]) -> None:
    """Raises a TypeError that names the method, not the base class in which an argument is left over."""
    known = {
        name
        for base in method.__mro__
        if "__init__" in vars(base)
        for name in inspect.signature(base).parameters
    }
    unknown = sorted(set(given) - known)
    if unknown:
        raise TypeError(
            f"{method.__name__} takes no {' and no '.join(unknown)}{did_you_mean(unknown[0], known)}: take it out of "
            "the model's config, or choose a method that has it"
        )


def check_mixture(method: MixtureMethod) -> None:
    """Raises a ValueError where mixer, head and method don't fit."""
    if method.mix_head is not None and not isinstance(method.mix_head, MixHead):
        raise ValueError(
            f"mix_head is a {type(method.mix_head).__name__} and must be a head that reads mixtures, like "
            "mixssl.UnMixHead; one that makes negatives belongs into hard_negatives"
        )
    if method.mixer is None:
        return
    name = type(method.mixer).__name__
    if method.mix_head is None:
        raise ValueError(
            f"the data preprocessor mixes with {name} and the model's mix_head is None: "
            "set model.mix_head, for instance dict(type='mixssl.UnMixHead')"
        )
    method.mix_head.check_mixer(method.mixer)
    own = type(method).__name__
    asked = method.mix_head.asks(method.mixer) - method.capabilities
    missing = sorted(method.mix_head.requirements & asked)
    if missing:
        raise ValueError(
            f"{type(method.mix_head).__name__} needs a method with {', '.join(missing)} and {own} offers "
            f"{', '.join(sorted(method.capabilities)) or 'nothing'}: {_way_out(method, missing)}"
        )
    if "clusters" in asked:
        raise ValueError(
            f"{name} asks for clusters of the images and {own} has none: {SET_CLUSTERS}"
        )
    if method.mixer.layers:
        check_layers(method.backbone, method.mixer.layers)
        if method.joint_bn:
            raise ValueError(
                f"{name} mixes hidden features, which can't share a batch with a clean view: "
                "set joint_bn=False on the model"
            )
        if method.mix_head.targets_mixtures and not method.targets_are_online:
            raise ValueError(
                f"{name} mixes features of the online backbone, and such a mixture can be no target of {own}: choose "
                "pairing='cross' or 'own' in mixssl.UnMixHead, or a mixer of pixels"
            )
    if "rows" in asked:
        raise ValueError(
            f"{name} draws a λ per image and the loss of {own} does not decompose over images: "
            "choose a mixer with one λ per batch, like mixssl.UnMix"
        )


def _way_out(method: MixtureMethod, missing: list[str]) -> str:
    """What can be done where a head asks for something that the method has not."""
    if missing == ["regions"] and "region_neck" in method.mixture_arguments:
        return "set region_neck on the model"
    return SET_CLUSTERS if missing == ["clusters"] else "choose another head or another method"


def require_joinable(views: Sequence[View]) -> None:
    """Raises a ValueError where views can't share a batch for batch normalisation."""
    if len({view.images.shape[1:] for view in views}) > 1 or any(
        view.regions != (IMAGE,) for view in views
    ):
        raise ValueError(
            "joint_bn needs mixtures of view 0's size and no regions: set joint_bn=False on the model"
        )
