"""Two options of a config that change how images reach the model, and not what a run is: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from mmengine.config import Config

from mixssl.augmentation import Views
from mixssl.utils.config_checks import dataset_dicts
from mixssl.utils.errors import ConfigError

__all__ = ["apply_data_options", "augment_on_device", "hold_in_memory"]

HELD = ("train_dataloader.", "knn_bank.", "knn_query.", "default_hooks.", "custom_hooks.")
"""Loaders that go over the same images again and again, by the start of their names."""


def apply_data_options(cfg: Config) -> None:
    """Carries out ``device_augment`` and ``in_memory``, if a config sets them.

    Args:
        cfg: Changed in place: ``device_augment=True`` moves the views from the pipeline into the data preprocessor,
            ``in_memory=True``, or a dict of :class:`~mixssl.datasets.InMemory`'s arguments, puts that around the data
            sets of training and of the k-NN monitor.

    Raises:
        ConfigError: Views that can't be made on the device.
    """
    if cfg.get("device_augment"):
        augment_on_device(cfg)
    if cfg.get("in_memory"):
        options = cfg.in_memory
        hold_in_memory(cfg, **(options if isinstance(options, Mapping) else {}))


def hold_in_memory(cfg: Config, **options: Any) -> None:
    """Puts ``mixssl.InMemory`` around the data sets of training and of the k-NN monitor.

    Args:
        cfg: Changed in place; a data set that is in it already stays as it is.
        **options: Of ``InMemory``: prepare, max_bytes.
    """
    for path, dataset in list(dataset_dicts(cfg)):
        if path.startswith(HELD) and not _is_held(cfg, path):
            inner = deepcopy(dict(dataset))
            dataset.clear()
            dataset.update({"type": "mixssl.InMemory", "dataset": inner, **options})


def _is_held(cfg: Config, path: str) -> bool:
    """Whether the data set at a path lies right inside an InMemory."""
    node: Any = cfg
    *steps, last = path.split(".")
    for step in steps:
        node = node[int(step)] if isinstance(node, (list, tuple)) else node[step]
    return last == "dataset" and _name(node) == "InMemory"


def augment_on_device(cfg: Config) -> None:
    """Moves ``MultiView`` from the training pipeline into the data preprocessor, which makes the same views.

    What comes before it, loading for instance, stays with the data workers; they then hand over one plain uint8 image
    in place of the views.

    Args:
        cfg: Changed in place.

    Raises:
        ConfigError: Another data preprocessor, a pipeline that has no MultiView before the last step, data sets with
            different views, or a transform without a device form.
    """
    holder = cfg if "data_preprocessor" in cfg else cfg.model
    preprocessor = holder.get("data_preprocessor") or {}
    if _name(preprocessor) != "InstanceMixDataPreprocessor":
        raise ConfigError(
            f"device_augment needs data_preprocessor.type='mixssl.InstanceMixDataPreprocessor', and it is "
            f"{preprocessor.get('type')!r}: set that type, or device_augment=False"
        )
    if preprocessor.get("views") is not None:
        return
    found: list[dict[str, Any]] = []
    for path, dataset in dataset_dicts(cfg):
        if path.startswith("train_dataloader."):
            before, views = _split(dataset.get("pipeline") or [], path)
            dataset["pipeline"] = [*before, {"type": "mixssl.PackImages"}]
            found.append(views)
    if not found or any(views != found[0] for views in found):
        raise ConfigError(
            f"device_augment makes the same views of all images, and train_dataloader has {len(found)} data sets with "
            "views of their own: give them one MultiView, or set device_augment=False"
        )
    Views(**found[0])  # says what has no device form
    preprocessor["views"] = found[0]


def _split(pipeline: list, path: str) -> tuple[list, dict[str, Any]]:
    """Steps before MultiView, and MultiView's arguments."""
    names = [_name(step) for step in pipeline]
    if names[-2:] not in (["MultiView", "PackInputs"], ["MultiView", "PackImages"]):
        raise ConfigError(
            f"device_augment moves MultiView from {path}.pipeline to the device, and the pipeline ends with "
            f"{', '.join(names[-2:]) or 'nothing'}: let it end with MultiView, PackInputs, or set device_augment=False"
        )
    step = pipeline[-2]
    return list(pipeline[:-2]), deepcopy(
        {key: value for key, value in step.items() if key not in ("type", "_scope_")}
    )


def _name(node: Mapping[str, Any]) -> str:
    """Type of a dict without its scope."""
    kind = node.get("type", "")
    return kind.rpartition(".")[2] if isinstance(kind, str) else kind.__name__
