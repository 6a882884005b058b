"""What the tools that look at a pre-trained model share: the model with its weights, loaders, results."""

import argparse
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mixssl.cli.launch import open_config, set_data_root
from mixssl.cli.one_line import explain
from mixssl.datasets.named_failures import name_failures
from mixssl.engine.atomic_writes import write_json
from mixssl.evaluation import FeatureSet, extract_features, fit_linear_probe, load_parts
from mixssl.evaluation.features import check_feature, check_loader
from mixssl.registry import MODELS
from mixssl.utils.cfg_options import merge_options
from mixssl.utils.config_checks import check_config, forbid_silent_download
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import UNTRAINED
from mixssl.utils.random_state import kept_random_state

LOADERS = ("knn_bank", "knn_query")
"""Keys of a config under which the images to learn from and those to classify are."""


class Prepared(NamedTuple):
    """A pre-trained model and the images to judge it with.

    Attributes:
        model: On its device, in evaluation mode.
        bank: Images to learn from.
        query: Images to classify.
        notes: What was loaded, one line each.
        linear_probe: Settings of a linear probe that these images' config asks for, beside the papers'.
    """

    model: nn.Module
    bank: DataLoader
    query: DataLoader
    notes: list[str]
    linear_probe: dict[str, Any]

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return next(self.model.parameters()).device

    def features(self, feature: str, tokens: str, half: bool) -> tuple[FeatureSet, FeatureSet]:
        """Features of bank and query, on the CPU; in float16 if ``half``."""
        dtype = torch.float16 if half else torch.float32
        first, second = (
            extract_features(self.model, loader, feature, tokens, dtype=dtype)
            for loader in (self.bank, self.query)
        )
        return first, second


def read_config(args: argparse.Namespace, path: str | None = None) -> Config:
    """Reads a config, by default ``args.config``, and merges ``--cfg-options`` into it."""
    cfg = open_config(path or args.config)
    merge_options(cfg, args.cfg_options)
    return cfg


def prepare(args: argparse.Namespace, feature: str = "backbone") -> Prepared:
    """Builds model and loaders, and loads the parts of the model that a feature needs, whole.

    Raises:
        ConfigError: A config without loaders, data that are missing or in unknown order, or a checkpoint of something
            else.
    """
    check_feature(feature)
    cfg = read_config(args)
    data = read_config(args, args.data) if args.data is not None else cfg
    bank, query = prepare_loaders(data, args.data_root)
    parts = ("backbone", "neck") if feature == "projected" else ("backbone",)
    probe = _probe_settings(data)
    model, notes = prepare_model(cfg, args.checkpoint, parts, args.device)
    return Prepared(model, bank, query, notes, probe)


def _probe_settings(cfg: Config) -> dict[str, Any]:
    """What a config says of linear probes on its images, under ``linear_probe``."""
    settings = dict(cfg.get("linear_probe") or {})
    known = [*inspect.signature(fit_linear_probe).parameters][2:]
    unknown = [name for name in settings if name not in known]
    if unknown:
        raise ConfigError(
            f"linear_probe.{unknown[0]} is {settings[unknown[0]]!r}, and a linear probe has no such setting: choose "
            f"from {', '.join(known)}"
        )
    return settings


def prepare_model(
    cfg: Config, checkpoint: str, parts: tuple[str, ...], device: str | None = None
) -> tuple[nn.Module, list[str]]:
    """Builds a config's model and loads parts of it from a checkpoint, whole or not at all.

    Args:
        cfg: A training config; not modified.
        checkpoint: Path, or ``UNTRAINED`` for the weights that the config starts from, drawn with seed 0.
        parts: "backbone", "neck" or both.
        device: Of the model; None for the GPU where there is one.

    Returns:
        The model in evaluation mode, and what was loaded, one line each.
    """
    init_default_scope(cfg.get("default_scope", "mmpretrain"))
    if cfg.get("model") is None:
        raise ConfigError(
            f"{cfg.filename} has no model: name the config that the checkpoint was trained with"
        )
    settings = dict(cfg.model)
    if cfg.get("data_preprocessor") is not None:
        settings.setdefault("data_preprocessor", cfg.data_preprocessor)
    with kept_random_state(), in_one_line("model: "):
        torch.manual_seed(0)
        model = MODELS.build(settings)
        if checkpoint == UNTRAINED:
            model.init_weights()
    notes = [f"{UNTRAINED}: the weights that the config starts from"]
    if checkpoint != UNTRAINED:
        notes = load_parts(model, checkpoint, parts)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    with in_one_line(f"--device {device}: "):
        return model.to(device).eval(), notes


def prepare_loaders(cfg: Config, data_root: str | None = None) -> tuple[DataLoader, DataLoader]:
    """Builds a config's ``knn_bank`` and ``knn_query``.

    Raises:
        ConfigError: There are none, or they can't work.
    """
    init_default_scope(cfg.get("default_scope", "mmpretrain"))
    missing = [name for name in LOADERS if cfg.get(name) is None]
    if missing:
        raise ConfigError(
            f"{cfg.filename} has no {' and no '.join(missing)}, so there are no images to judge with: name a config "
            "that has them with --data, for instance configs/_base_/datasets/cifar10.py"
        )
    # The checks know these loaders where a monitor uses them.
    monitored = Config(
        {
            **{name: cfg[name].to_dict() for name in LOADERS},
            "default_hooks": {"knn": {"type": "mixssl.KNNMonitorHook"}},
            "default_scope": cfg.get("default_scope", "mmpretrain"),
        }
    )
    if data_root is not None:
        set_data_root(monitored, data_root)
    forbid_silent_download(monitored)
    check_config(monitored)
    built = []
    for name in LOADERS:
        with in_one_line(f"{name}: "):
            loader = Runner.build_dataloader(monitored[name], seed=0)
            check_loader(loader)
        name_failures(loader)
        built.append(loader)
    return built[0], built[1]


@contextmanager
def in_one_line(before: str = "") -> Iterator[None]:
    """Turns what data sets, models and protocols raise over their input into a ConfigError of one line."""
    try:
        yield
    except Exception as error:
        said = explain(error)
        if said is None and isinstance(error, (AssertionError, RuntimeError, ValueError)):
            said = " ".join(str(error).split()) or type(error).__name__
        if said is None:
            raise
        raise ConfigError(f"{before}{said}") from error


def save_result(result: dict[str, Any], args: argparse.Namespace, protocol: str) -> Path:
    """Writes a tool's figures to ``--out``, or beside the checkpoint into a file of its own for each protocol.

    Args:
        result: What is written.
        args: Of the tool: checkpoint, config, data, tokens and out.
        protocol: For the file's name, with what tells it apart from others of its kind.

    Returns:
        ``<checkpoint>_<protocol>.json``, with the name of ``--data`` where the images are another config's; initial
        weights have no folder, and theirs is ``work_dirs/<config>/untrained_<protocol>.json``.
    """
    if args.out:
        return write_json(result, args.out)
    start = Path(args.checkpoint)
    if args.checkpoint == UNTRAINED:
        start = Path("work_dirs", Path(args.config).stem, UNTRAINED)
    words = [start.stem, protocol, *([args.tokens] if args.tokens != "cls" else [])]
    if args.data is not None:
        words.append(Path(args.data).stem)
    return write_json(result, start.with_name(f"{'_'.join(words)}.json"))
