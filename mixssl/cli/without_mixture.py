"""A config without its mixture: what a gain is over, and what the cost of a step is a multiple of."""

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mixssl.mixing import Mixer
from mixssl.models.classifiers import MixClassifier
from mixssl.registry import HOOKS, MIXERS, MODELS
from mixssl.utils.config_hooks import drop_hooks


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
    declare ``of_mixtures``, the settings of the optimizer for parameters that those arguments bring, and views that are
    there to be mixed in alone. Mixtures that are added to the same method so have the same baseline, to the last key.

    Args:
        cfg: Whole config; left as it is.
    """
    plain = Config(cfg.to_dict())
    model = plain.get("model") or {}
    for holder in (plain, model):
        mixer = (holder.get("data_preprocessor") or {}).pop("mixer", None)
        if mixer and (built := MIXERS.build(mixer)).extra_views:
            _drop_views(plain._cfg_dict, built)
    arguments = mixture_arguments(_class_of(model, MODELS))
    for name in arguments:
        model.pop(name, None)
    drop_hooks(plain, _of_mixtures)
    _drop_settings(plain.get("optim_wrapper") or {}, arguments)
    return plain


def _drop_views(node: Any, mixer: Mixer) -> None:
    """Takes out views that only a mixture shows, in place; of those left, what is mixed is cut as the others are."""
    if isinstance(node, (list, tuple)):
        for child in node:
            _drop_views(child, mixer)
    elif isinstance(node, dict) and {"num_views", "transforms"} <= node.keys():
        counts, kinds = node["num_views"], node["transforms"]
        counts = [counts] if isinstance(counts, int) else counts
        views = [kind for kind, n in zip(kinds, counts, strict=True) for _ in range(n)]
        views = views[: len(views) - mixer.extra_views]
        clean = [view for number, view in enumerate(views) if number not in mixer.views]
        views = [
            clean[0] if clean and number in mixer.views else view
            for number, view in enumerate(views)
        ]
        alike = all(view == views[0] for view in views)
        node["num_views"] = len(views) if alike else [1] * len(views)
        node["transforms"] = views[:1] if alike else views
    elif isinstance(node, dict):
        _drop_views(list(node.values()), mixer)


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
