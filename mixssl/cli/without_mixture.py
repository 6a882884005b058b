"""A config without its mixture: what a gain is over, and what the cost of a step is a multiple of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mixssl.models.classifiers import MixClassifier
from mixssl.registry import HOOKS, MODELS

__all__ = ["mixture_arguments", "mixture_switch", "without_mixture"]


def mixture_switch(cfg: Config) -> str | None:
    """The dotted key that, set to None, switches a config's mixture off; None where there is no mixture."""
    model = cfg.get("model") or {}
    places = {
        "data_preprocessor.mixer": (cfg.get("data_preprocessor") or {}).get("mixer"),
        "model.data_preprocessor.mixer": (model.get("data_preprocessor") or {}).get("mixer"),
        "model.mixer": model.get("mixer"),
    }
    kind = _class_of(model, MODELS)
    if kind is not None and issubclass(kind, MixClassifier):
        places["model.mix_block"] = model.get("mix_block")
    return next((key for key, value in places.items() if value), None)


def mixture_arguments(kind: type | None) -> frozenset[str]:
    """Arguments of a method or classifier that go with its mixture, as its class and their bases declare them."""
    bases = () if kind is None else kind.__mro__
    return frozenset(name for base in bases for name in vars(base).get("mixture_arguments", ()))


def without_mixture(cfg: Config) -> Config:
    """The same config without its mixture and without all that is read only beside one.

    The mixer goes, and with it the arguments of the model that its class declares to be of mixtures, the hooks that
    declare ``of_mixtures``, and the settings of the optimizer for parameters that those arguments bring. Mixtures that
    are added to the same method so have the same baseline, to the last key.

    Args:
        cfg: Whole config; left as it is.
    """
    plain = Config(cfg.to_dict())
    model = plain.get("model") or {}
    for holder in (plain, model):
        if holder.get("data_preprocessor"):
            holder["data_preprocessor"].pop("mixer", None)
    arguments = mixture_arguments(_class_of(model, MODELS))
    for name in arguments:
        model.pop(name, None)
    if plain.get("custom_hooks"):
        plain.custom_hooks = [hook for hook in plain.custom_hooks if not _of_mixtures(hook)]
    _drop_settings(plain.get("optim_wrapper") or {}, arguments)
    return plain


def _drop_settings(optim_wrapper: dict, arguments: frozenset[str]) -> None:
    """Takes out what an optimizer is told about parameters of these arguments, in place."""
    paramwise = optim_wrapper.get("paramwise_cfg") or {}
    keys = paramwise.get("custom_keys") or {}
    gone = [key for key in keys if arguments & set(key.split("."))]
    for key in gone:
        del keys[key]
    if gone and not keys:
        del paramwise["custom_keys"]
        if not paramwise:
            del optim_wrapper["paramwise_cfg"]


def _of_mixtures(hook: Any) -> bool:
    """Whether a hook does nothing where there is no mixture."""
    kind = _class_of(hook, HOOKS) if isinstance(hook, Mapping) else type(hook)
    return bool(getattr(kind, "of_mixtures", False))


def _class_of(node: Mapping[str, Any], registry: Any) -> type | None:
    """Class of a config; None where it has no type, or one that is not registered with this package."""
    kind = node.get("type")
    return registry.get(kind) if isinstance(kind, str) else kind
