"""Flags for speed: each writes plain values into a config, with which any program then trains the same."""

import argparse
from copy import deepcopy
from typing import Any

from mmengine.config import Config

from mixssl.augmentation import Views
from mixssl.utils.config_checks import dataset_dicts, type_name
from mixssl.utils.errors import ConfigError

BFLOAT16 = "mixssl.BFloat16OptimWrapper"
HELD = ("train_dataloader.", "knn_bank.", "knn_query.", "default_hooks.", "custom_hooks.")
"""Loaders that go over the same images again and again, by the start of their names."""


def write_speed(cfg: Config, args: argparse.Namespace) -> None:
    """Writes ``--amp``, ``--device-views`` and ``--in-memory`` into a config.

    Raises:
        ConfigError: An optimizer wrapper that has no half precision, or views that can't be made on the device.
    """
    if args.amp:
        use_amp(cfg, args.amp)
    if args.device_views:
        augment_on_device(cfg)
    if args.in_memory:
        hold_in_memory(cfg)


def use_amp(cfg: Config, dtype: str) -> None:
    """Makes the optimizer wrapper one of mixed precision; bfloat16 needs no loss scale, and so no reading of it.

    Args:
        cfg: Changed in place.
        dtype: "float16" or "bfloat16".

    Raises:
        ConfigError: A wrapper that is none of a single optimizer.
    """
    wrapper = cfg.optim_wrapper
    kind = wrapper.get("type", "OptimWrapper")
    if kind not in ("OptimWrapper", "AmpOptimWrapper", BFLOAT16):
        raise ConfigError(
            f"--amp works with optim_wrapper.type='OptimWrapper', and the config has {kind!r}: set mixed precision "
            "in the config"
        )
    if dtype == "bfloat16":
        wrapper["type"] = BFLOAT16
        for key in ("loss_scale", "dtype"):  # of a config that asked for float16
            wrapper.pop(key, None)
    else:
        wrapper.update({"type": "AmpOptimWrapper", "dtype": dtype})
        wrapper.setdefault("loss_scale", "dynamic")


def hold_in_memory(cfg: Config) -> None:
    """Puts ``mixssl.InMemory`` around the data sets of training and of the k-NN monitor, unless they are in it."""
    for path, dataset in list(dataset_dicts(cfg)):
        if path.startswith(HELD) and not _is_held(cfg, path):
            inner = deepcopy(dict(dataset))
            dataset.clear()
            dataset.update({"type": "mixssl.InMemory", "dataset": inner})


def _is_held(cfg: Config, path: str) -> bool:
    """Whether the data set at a path lies right inside an InMemory."""
    node: Any = cfg
    *steps, last = path.split(".")
    for step in steps:
        node = node[int(step)] if isinstance(node, (list, tuple)) else node[step]
    return last == "dataset" and type_name(node) == "InMemory"


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
    if type_name(preprocessor) != "InstanceMixDataPreprocessor":
        raise ConfigError(
            f"--device-views needs data_preprocessor.type='mixssl.InstanceMixDataPreprocessor', and it is "
            f"{preprocessor.get('type')!r}: set that type, or leave --device-views out"
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
            f"--device-views makes the same views of all images, and train_dataloader has {len(found)} data sets with "
            "views of their own: give them one MultiView, or leave --device-views out"
        )
    Views(**found[0])  # says what has no device form
    preprocessor["views"] = found[0]


def _split(pipeline: list, path: str) -> tuple[list, dict[str, Any]]:
    """Steps before MultiView, and MultiView's arguments."""
    names = [type_name(step) for step in pipeline]
    if names[-2:] not in (["MultiView", "PackInputs"], ["MultiView", "PackImages"]):
        raise ConfigError(
            f"--device-views moves MultiView from {path}.pipeline to the device, and the pipeline ends with "
            f"{', '.join(names[-2:]) or 'nothing'}: let it end with MultiView, PackInputs, or leave --device-views out"
        )
    step = pipeline[-2]
    return list(pipeline[:-2]), deepcopy(
        {key: value for key, value in step.items() if key not in ("type", "_scope_")}
    )
