"""What comes out of a run: the folder ``backbone``, checked in the libraries that read it, and a report to look at."""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from rich.console import Console

from mixssl.cli.own_pictures import pictures_of
from mixssl.cli.page import Section, write_page
from mixssl.cli.provenance import circumstances
from mixssl.datasets.look import Look, read_left_out
from mixssl.engine.atomic_writes import write_atomically
from mixssl.transfer.backbone_folder import (
    Backbone,
    files_of,
    largest_differences,
    snippets,
)
from mixssl.transfer.extraction import find_backbone
from mixssl.utils.checkpoints import Checkpoint, digest_of, read_checkpoint
from mixssl.utils.config_checks import preprocessor_of
from mixssl.utils.errors import ConfigError
from mixssl.visualization import read_run, runs_figure, save_figure

CARD = """---
library_name: timm
tags: [image-feature-extraction, self-supervised, mixssl]
---

# {title}

A backbone pre-trained without labels by mixssl. It gives {features} numbers for an image.

{facts}

## How it wants to see images

{channels} channels, {unit}. Resize the shorter side to {whole}, cut {size}x{size} out of the centre, subtract the
mean {mean}, divide by the standard deviation {std} (both in the unit of 0 to 255{order}).

## How to load it
{loading}

## Checked

{checked}
"""


def hand_over(config: Path, folder: Path, look: Look, console: Console) -> Path:
    """Writes ``backbone/`` from the last checkpoint of a run and ``report.html``; returns the folder ``backbone``."""
    cfg = Config.fromfile(config)
    last = folder / f"epoch_{cfg.train_cfg.max_epochs}.pth"
    series = read_run(folder)
    measured = ("rankme", "lidar", "feature_std", "alignment", "uniformity", "knn_top1")
    figures = {name: series[name].values for name in measured if name in series}
    facts = {
        "images": f"{look.images}, shorter side {look.shorter[0]} to {look.shorter[2]} pixels",
        "recipe": f"{cfg.model.type}, {mixer_of(cfg)}, {cfg.train_cfg.max_epochs} epochs",
        **{
            name: f"{values[0]:.3f} before, {values[-1]:.3f} after"
            for name, values in figures.items()
        },
    }
    target = folder / "backbone"
    backbone = _backbone(read_checkpoint(last), look.value_range, facts)
    if "ResizeEdge" not in repr(cfg.train_dataloader):
        backbone = backbone._replace(whole=backbone.size)  # images were taken as they are
    for line in write_backbone(backbone, target):
        console.print(line)
    report(cfg, backbone, folder, facts)
    console.print(f"backbone: {target}\nreport: {folder / 'report.html'}")
    return target


def export(args: argparse.Namespace) -> None:
    """What ``mixssl export`` does: the folder ``backbone`` of any checkpoint of pre-training."""
    checkpoint = read_checkpoint(args.checkpoint)
    noted = checkpoint.path.parent / "images.json"
    span = args.value_range
    if span is None and noted.is_file():
        span = json.loads(noted.read_text()).get("value_range")
    backbone = _backbone(checkpoint, span, {}, args.encoder, args.size)
    out = args.out or checkpoint.path.parent / "backbone"
    print(*write_backbone(backbone, out), out, sep="\n")


def write_backbone(backbone: Backbone, folder: Path) -> list[str]:
    """Writes all files, loads them again elsewhere, compares, and writes the card; returns what was found out.

    Raises:
        ConfigError: No library computes the same, or the folder can't be written.
    """
    for name, content in files_of(backbone).items():
        write_atomically(content, folder / name)
    checked = largest_differences(backbone, str(folder))
    lines = [f"{name}: {said}" for name, said in checked.items()]
    write_atomically(card(backbone, lines, "backbone").encode(), folder / "README.md")
    return lines


def card(backbone: Backbone, checked: list[str], place: str) -> str:
    """What a person must know to use the folder."""
    facts = {
        **backbone.facts,
        "tensors": f"{len(backbone.state)}, hash {digest_of(backbone.state).hex()[:16]}",
        "code": ", ".join(
            f"{k} {v}" for k, v in circumstances().items() if k in ("mixssl", "commit", "torch")
        ),
    }
    span = backbone.value_range
    unit = "pixels from 0 to 255"
    if span is not None:
        unit = f"pixels of more than 8 bits scaled so that {span[0]:g} becomes 0 and {span[1]:g} becomes 255"
    loading = "".join(
        f"\n{library}:\n\n```python\n{code}\n```\n"
        for library, code in snippets(backbone, place).items()
    )
    return CARD.format(
        title=(backbone.config.get("depth") and f"ResNet-{backbone.config['depth']}")
        or "Vision Transformer",
        features=backbone.features,
        facts="\n".join(f"- {name}: {text}" for name, text in facts.items()),
        channels=backbone.channels,
        unit=unit,
        whole=backbone.whole,
        size=backbone.size,
        mean=backbone.mean,
        std=backbone.std,
        order=", red first" if backbone.channels == 3 else "",
        loading=loading,
        checked="\n".join(f"- {line}" for line in checked),
    )


def _backbone(
    checkpoint: Checkpoint,
    value_range: Any,
    facts: Mapping[str, str],
    encoder: str = "online",
    size: int | None = None,
) -> Backbone:
    """A checkpoint's backbone, with what its config says about it."""
    settings = checkpoint.settings
    config = (settings.get("model") or {}).get("backbone")
    noted = preprocessor_of(settings)
    if not config or noted.get("mean") is None:
        raise ConfigError(
            f"{str(checkpoint.path)!r} does not say what its backbone is, or how images were normalised: name a "
            "checkpoint of pre-training, with its config inside"
        )
    places = find_backbone(checkpoint, encoder)
    mean, std = list(map(float, noted["mean"])), list(map(float, noted["std"]))
    if len(mean) == 3 and not noted.get("to_rgb"):
        raise ConfigError(
            f"{str(checkpoint.path)!r} was trained on blue, green, red, and timm and torchvision hand over red, green, "
            "blue: take the weights with mmpretrain"
        )
    views = noted.get("views") or {}
    found = re.search(r"'scale': (\d+)", repr(views.get("transforms")))
    side = size or (config.get("img_size") if "img_size" in config else None)
    side = int(side or (found[1] if found else 224))
    return Backbone(
        state={own: checkpoint.state[name] for own, name in places.items()},
        config=dict(config),
        mean=mean,
        std=std,
        size=side,
        whole=round(side * 8 / 7),
        value_range=None if value_range is None else (value_range[0], value_range[1]),
        facts={
            "checkpoint": f"{checkpoint.path.name} ({encoder}), SHA-256 {checkpoint.sha256[:16]}",
            **facts,
        },
    )


def mixer_of(cfg: Config) -> str:
    """The mixture, in a word."""
    mixer = cfg.data_preprocessor.get("mixer")
    return "no mixture" if mixer is None else str(mixer.type).removeprefix("mixssl.")


def report(cfg: Config, backbone: Backbone, folder: Path, facts: Mapping[str, str]) -> Path:
    """Draws the pictures and writes ``report.html``."""
    pictures = folder / "pictures"
    curves = save_figure(runs_figure({folder.name: read_run(folder)}), pictures / "curves.png")
    chosen = [
        line[4:]
        for line in (folder / "config.py").read_text().splitlines()
        if line.startswith("#   ")
    ]
    table = [("choice", "value", "why")]
    for line in chosen:
        option, _, rest = line.partition(" = ")
        value, _, why = rest.partition(": ")
        table.append((option, value, why))
    sections = [
        Section("Choices", table=table),
        Section("Curves", pictures={"loss, learning rate and monitors": curves}),
        *pictures_of(cfg, backbone, pictures),
    ]
    left = read_left_out(folder / "unreadable.csv")
    if left:
        rows = [("name", "reason"), *left[:200]]
        sections.append(Section(f"Left out: {len(left)} images", table=rows))
    return write_page(
        folder / "report.html",
        folder.name,
        {**facts, **{key: str(value) for key, value in circumstances().items()}},
        sections,
    )
