"""What can be found wrong with a config before anything is built. Every message names the value and the way out."""

import inspect
import os
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.registry import DATASETS as ROOT_DATASETS

from mixssl.utils.config_hooks import hook_type, hooks_of
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import check_keys

LOADERS = ("train_dataloader", "val_dataloader", "test_dataloader")
MONITOR_LOADERS = {
    "KNNMonitorHook": {"bank": "knn_bank", "query": "knn_query"},
    "LinearProbeHook": {"query": "knn_query"},
}
"""Arguments of hooks, and the loaders of the config that they take where those are not given."""
COLLATE_FIX = "dict(collate_fn=dict(_delete_=True, type='default_collate'))"
SELF_SUPERVISED = (
    "InstanceMixDataPreprocessor",
    "SelfSupDataPreprocessor",
    "TwoNormDataPreprocessor",
)


def check_config(cfg: Mapping[str, Any], world_size: int = 1) -> None:
    """Raises at the first thing in a training config that can't work.

    Args:
        cfg: The whole config, command line merged in.
        world_size: Number of processes the run will have.

    Raises:
        ConfigError: A ValueError with one line: the value, what is allowed, and the way out.
    """
    check_keys(cfg)
    for check in (
        _check_preprocessor,
        _check_collate,
        _check_batch,
        _check_mix_head,
        _check_clusters,
        _check_start,
        _check_data,
    ):
        check(cfg, world_size)


def forbid_silent_download(cfg: Mapping[str, Any]) -> None:
    """Sets ``download=False`` in every data set dict that could fetch files by itself and doesn't say whether to."""
    for _, dataset in dataset_dicts(cfg):
        if "download" not in dataset and _downloads(dataset, cfg):
            dataset["download"] = False


def dataset_dicts(cfg: Mapping[str, Any]) -> Iterator[tuple[str, dict]]:
    """Finds the data set dicts of a config: in its loaders, in wrappers such as ConcatDataset, and in hooks.

    ``knn_bank`` and ``knn_query`` count as loaders where a hook falls back on them.

    Yields:
        Where it stands, as ``--cfg-options`` would name it, and the dict itself.
    """
    for name in _loader_names(cfg):
        loader = cfg.get(name)
        if isinstance(loader, Mapping):
            yield from _datasets_in(loader.get("dataset"), f"{name}.dataset")
    for place, hook in hooks_of(cfg):
        if isinstance(hook, Mapping):
            yield from _loaders_in(hook, place)


def _loader_names(cfg: Mapping[str, Any]) -> list[str]:
    """Keys of the loaders that a run would build; those for a k-NN only if a hook brings none of its own."""
    wanted = dict.fromkeys(
        name
        for _, hook in hooks_of(cfg)
        if isinstance(hook, Mapping)
        for argument, name in MONITOR_LOADERS.get(hook_type(hook), {}).items()
        if hook.get(argument) is None
    )
    return [*LOADERS, *wanted]


def _loaders_in(node: Any, path: str) -> Iterator[tuple[str, dict]]:
    """Data sets of the loaders somewhere in a hook's dict."""
    for key, value in node.items():
        if not isinstance(value, Mapping):
            continue
        if key == "dataset" or key.endswith("_dataset"):
            yield from _datasets_in(value, f"{path}.{key}")
        else:
            yield from _loaders_in(value, f"{path}.{key}")


def _datasets_in(node: Any, path: str) -> Iterator[tuple[str, dict]]:
    """A data set dict, or those a wrapper holds."""
    if isinstance(node, (list, tuple)):
        for i, item in enumerate(node):
            yield from _datasets_in(item, f"{path}.{i}")
    elif isinstance(node, dict):
        inner = [key for key in ("dataset", "datasets") if key in node]
        if not inner:
            yield path, node
        for key in inner:
            yield from _datasets_in(node[key], f"{path}.{key}")


def type_name(node: Any) -> str:
    """Type of a dict without its scope."""
    kind = node.get("type", "") if isinstance(node, Mapping) else ""
    return kind.rpartition(".")[2] if isinstance(kind, str) else getattr(kind, "__name__", "")


def preprocessor_of(cfg: Mapping[str, Any]) -> Mapping[str, Any]:
    """The dict of the data preprocessor, beside the model or in it; empty where the config has none."""
    inside = (cfg.get("model") or {}).get("data_preprocessor")
    return cfg.get("data_preprocessor") or inside or {}


def _preprocessor(cfg: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The data preprocessor's place in the config, in the model or beside it, and its dict."""
    model = cfg.get("model") or {}
    if "data_preprocessor" in model:
        return "model.data_preprocessor", model["data_preprocessor"] or {}
    return "data_preprocessor", cfg.get("data_preprocessor") or {}


def _check_preprocessor(cfg: Mapping[str, Any], world_size: int) -> None:
    """A data preprocessor in the model hides the one beside it: mean and std, or a mixer, would be lost."""
    place, read = _preprocessor(cfg)
    lost = set(cfg.get("data_preprocessor") or {}) - set(read) - {"type", "_scope_"}
    if lost:
        raise ConfigError(
            f"{place} is set, and {', '.join(sorted(lost))} of the data_preprocessor beside it would not be read: "
            f"write what is to change into the latter, as in data_preprocessor.mixer=..., and take {place} out, or "
            "give that one everything"
        )


def _check_collate(cfg: Mapping[str, Any], world_size: int) -> None:
    """Inheriting mmpretrain's configs leaves a key in collate_fn with which the first batch fails."""
    for name in _loader_names(cfg):
        loader = cfg.get(name)
        if not isinstance(loader, Mapping):
            continue
        collate = loader.get("collate_fn", {"type": "pseudo_collate"})
        if not isinstance(collate, Mapping):
            continue
        if "_scope_" in collate:
            raise ConfigError(
                f"{name}.collate_fn holds the key _scope_, which configs inherited from mmpretrain gain, and the first "
                f"batch would fail: write {name} = {COLLATE_FIX} into the config"
            )
        trains = name == "train_dataloader" and type_name(_preprocessor(cfg)[1]) in SELF_SUPERVISED
        if trains and type_name(collate) == "pseudo_collate":
            raise ConfigError(
                f"{name}.collate_fn is pseudo_collate, which leaves a batch unstacked, and pre-training needs stacked "
                f"views: write {name} = {COLLATE_FIX} into the config"
            )


def _check_batch(cfg: Mapping[str, Any], world_size: int) -> None:
    """A mixture needs two images; a queue needs whole batches that divide it."""
    loader = cfg.get("train_dataloader") or {}
    batch = loader.get("batch_size") or (loader.get("batch_sampler") or {}).get("batch_size")
    if batch is None:
        return
    _, preprocessor = _preprocessor(cfg)
    if batch < 2 and preprocessor.get("mixer") is not None:
        raise ConfigError(
            f"train_dataloader.batch_size is {batch}, and a mixture needs at least 2 images: raise it"
        )
    queue = (cfg.get("model") or {}).get("queue_len")
    if queue is None:
        return
    total = batch * world_size
    if queue % total:
        processes = f" on {world_size} processes" if world_size > 1 else ""
        raise ConfigError(
            f"model.queue_len is {queue} and must be a multiple of the total batch of {total} images "
            f"(train_dataloader.batch_size={batch}{processes}): take "
            f"queue_len={_nearest(queue, total)}, or another batch_size"
        )
    if not loader.get("drop_last", False) and "batch_sampler" not in loader:
        raise ConfigError(
            "train_dataloader.drop_last is False, and a smaller last batch would not fit the queue "
            f"(queue_len={queue}): set train_dataloader.drop_last=True"
        )


def _nearest(queue: int, total: int) -> int:
    """Closest multiple of the total batch, at least one batch."""
    return max(round(queue / total), 1) * total


def _check_mix_head(cfg: Mapping[str, Any], world_size: int) -> None:
    """Mixtures that nobody turns into a loss."""
    place, preprocessor = _preprocessor(cfg)
    mixer = preprocessor.get("mixer")
    if mixer is not None and (cfg.get("model") or {}).get("mix_head") is None:
        raise ConfigError(
            f"{place}.mixer is {type_name(mixer) or mixer} and model.mix_head is not set: add for "
            "instance model.mix_head=dict(type='mixssl.UnMixHead'), or set the mixer to None"
        )


def _check_clusters(cfg: Mapping[str, Any], world_size: int) -> None:
    """Clusters that nobody starts."""
    hooks = [hook_type(hook) for _, hook in hooks_of(cfg)]
    if (cfg.get("model") or {}).get("clusters") is not None and "ODCHook" not in hooks:
        raise ConfigError(
            "model.clusters is set and there is no ODCHook, which gives them a start: add "
            "default_hooks=dict(odc=dict(type='mixssl.ODCHook'))"
        )


def check_start(path: str | None) -> str:
    """A backbone's file as it was given; raises a ConfigError where none is, or where it is not there."""
    if path is None:
        raise ConfigError(
            "model.init_cfg.checkpoint is not set: name the pre-trained backbone with --cfg-options "
            "model.init_cfg.checkpoint=FILE, or ask for random weights with model.init_cfg.checkpoint=random"
        )
    if path != "random" and "://" not in path and not os.path.isfile(path):
        raise ConfigError(
            f"model.init_cfg.checkpoint is {path!r}, and there is no such file: name an existing file"
        )
    return path


def _check_start(cfg: Mapping[str, Any], world_size: int) -> None:
    """The file of a pre-trained backbone, before data are read; without a training loop nothing starts from it."""
    init = (cfg.get("model") or {}).get("init_cfg") or {}
    if type_name(init) == "PretrainedBackbone" and cfg.get("train_dataloader"):
        check_start(init.get("checkpoint"))


def _check_data(cfg: Mapping[str, Any], world_size: int) -> None:
    """Missing folders, and files that a data set would fetch from the network without a word."""
    for path, dataset in dataset_dicts(cfg):
        root, prefix = str(dataset.get("data_root") or ""), _prefix(dataset)
        if not (root or prefix) or "://" in root + prefix or "s3:" in root + prefix:
            continue
        if root and not os.path.isdir(root):
            raise ConfigError(
                f"{path}.data_root is {root!r}, and there is no such folder: give the one that holds the "
                f"{type_name(dataset)} files with --data-root DIR (or --cfg-options {path}.data_root=DIR)"
            )
        folder = os.path.join(root, prefix)
        if _downloads(dataset, cfg):
            # Ours never download unasked, take more than one form of the files, and say themselves what is missing.
            ours = str(getattr(_class_of(dataset, cfg), "__module__", "")).startswith("mixssl.")
            if dataset.get("download") or ours:
                continue
            folder = os.path.join(folder, getattr(_class_of(dataset, cfg), "base_folder", ""))
        if not os.path.isdir(folder):
            download = f", or allow the download with --cfg-options {path}.download=True"
            raise ConfigError(
                f"{path} ({type_name(dataset)}) reads the folder {folder!r}, which does not exist: put the data there "
                f"or name another place with --data-root DIR{download if _downloads(dataset, cfg) else ''}"
            )


def _prefix(dataset: Mapping[str, Any]) -> str:
    """Folder of the images below the data root, where the dict names one; ImageNet's is its split."""
    prefix = dataset.get("data_prefix") or ""
    if not prefix and type_name(dataset) == "ImageNet":
        prefix = dataset.get("split", "")
    if isinstance(prefix, Mapping):
        prefix = prefix.get("img_path") or prefix.get("root") or ""
    return str(prefix)


def _class_of(dataset: Mapping[str, Any], cfg: Mapping[str, Any]) -> Any:
    """Class of a data set dict, looked up as the run will; None where it is not registered."""
    kind = dataset.get("type")
    if not isinstance(kind, str):
        return kind
    scope = dataset.get("_scope_") or cfg.get("default_scope", "mmpretrain")
    with ROOT_DATASETS.switch_scope_and_registry(scope) as registry:
        return registry.get(kind)


def _downloads(dataset: Mapping[str, Any], cfg: Mapping[str, Any]) -> bool:
    """Whether a data set fetches missing files unless told not to: its argument ``download`` defaults to True."""
    kind = _class_of(dataset, cfg)
    for parent in inspect.getmro(kind) if inspect.isclass(kind) else ():
        arguments = inspect.signature(parent).parameters if "__init__" in vars(parent) else {}
        if "download" in arguments:
            return arguments["download"].default is True
    return False
