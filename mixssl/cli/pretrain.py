"""From a folder of images to a backbone: looks, chooses, writes a config, trains it, and hands the backbone over."""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mixssl.cli.benchmark import TrainStep
from mixssl.cli.choices import RULES, Choice, choose
from mixssl.cli.own_config import Data, config_text, own_config
from mixssl.cli.parsers import train_arguments
from mixssl.cli.tool import tools_folder
from mixssl.cli.train import latest_checkpoint, train
from mixssl.datasets.look import Look, digest, look_at, read_left_out, write_left_out
from mixssl.datasets.sources import Source, open_source
from mixssl.engine.atomic_writes import write_atomically, write_json
from mixssl.transfer.start import read_weights, start_of, what_it_is
from mixssl.utils.errors import ConfigError
from mixssl.utils.memory import available_bytes, readable_size

CONFIG, LOOK, LEFT_OUT, ASKED = "config.py", "images.json", "unreadable.csv", "pretrain.json"
START = "start.pth"
"""What a run's folder holds beside mmengine's files."""
IN_MEMORY = 0.25
"""Share of the memory that decoded images may take."""
OVERHEAD = 0.85
"""Share of ``--hours`` that is planned for steps: the rest is for measuring, saving and starting."""


def main(args: argparse.Namespace) -> None:
    """What ``mixssl pretrain`` does."""
    options = {name: value for name, value in vars(args).items() if name != "command"}
    images, out = options.pop("images"), options.pop("out")
    pretrain(images, out=out, **options)


def pretrain(
    images: str | os.PathLike[str], *, out: str | os.PathLike[str], **options: Any
) -> Path:
    """Pre-trains a backbone on a person's images; the same call again goes on where the run was stopped.

    Args:
        images: As ``mixssl pretrain`` takes them.
        out: Folder of the run: the config, what was seen, logs, checkpoints, ``backbone/`` and ``report.html``.
        **options: Those of ``mixssl pretrain``, by their names: ``hours``, ``devices``, ``labels``, ``start`` (weights
            to start from, ``--from``), ``strict``, ``dry_run``, ``seed``, and each of the choices: ``method``,
            ``epochs``, ...

    Returns:
        The folder ``backbone``, or with ``dry_run`` the config.

    Raises:
        ConfigError: An option that there is none of, images that can't be used, or a folder that holds another run.
    """
    asked = _complete(options)
    folder, console = Path(out), Console(stderr=True, highlight=False)
    folder.mkdir(parents=True, exist_ok=True)
    place = os.fspath(images)
    source = open_source(place)
    look = _looked(source, folder, asked, console)
    config = folder / CONFIG
    wanted = {"images": place, **asked, "digest": look.digest}
    if not _same_run(folder, wanted, config):
        choices = _choices(look, asked, place)
        console.print(_table(look, choices, folder))
        cfg, choices = _config(place, look, asked, choices, folder, console)
        write_atomically(config_text(cfg, choices, _command(place, folder, asked)).encode(), config)
        write_json(wanted, folder / ASKED)
    console.print(f"config: {config}")
    if asked["dry_run"]:
        return config
    _train(config, folder, asked["devices"])
    from mixssl.cli.hand_over import (
        hand_over,
    )  # draws pictures: only once there is something to draw

    return hand_over(config, folder, look, console)


def _complete(options: dict[str, Any]) -> dict[str, Any]:
    """All options, those not given as they are by default."""
    usual: dict[str, Any] = {
        "labels": None,
        "start": None,
        "hours": None,
        "devices": 1,
        "seed": 0,
        "strict": False,
        "dry_run": False,
        **{rule.option: None for rule in RULES},
    }
    unknown = sorted(options.keys() - usual.keys())
    if unknown:
        raise ConfigError(f"pretrain has no option {unknown[0]!r}; it has {', '.join(usual)}")
    asked = usual | options
    for name in ("labels", "start"):
        asked[name] = None if asked[name] is None else os.fspath(asked[name])
    if asked["devices"] < 1 or (asked["hours"] is not None and not asked["hours"] > 0):
        raise ConfigError(
            f"--devices is {asked['devices']} and --hours {asked['hours']}; give at least 1 device, and hours above 0"
        )
    if asked["hours"] is not None and asked["epochs"] is not None:
        raise ConfigError("--hours and --epochs both say how long: leave one out")
    there = torch.cuda.device_count()
    if there and asked["devices"] > there:
        raise ConfigError(f"--devices is {asked['devices']}, and there are {there} here")
    return asked


def _looked(source: Source, folder: Path, asked: dict[str, Any], console: Console) -> Look:
    """Looks at the images, or remembers what was seen of the same ones; writes both files."""
    noted, channels = folder / LOOK, asked["channels"]
    if noted.is_file() and (folder / LEFT_OUT).is_file():
        seen = json.loads(noted.read_text())
        if seen.pop("asked_channels") == channels and seen["digest"] == digest(source):
            seen["channels"] = {int(count): number for count, number in seen["channels"].items()}
            left_out = read_left_out(folder / LEFT_OUT)
            return _refuse_if_strict(Look(**seen, unreadable=left_out), folder, asked)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("looking at images", total=len(source))

        def follow(seen: int) -> None:
            progress.update(task, completed=seen)

        look = look_at(source, channels, follow=follow)
    write_left_out(look, folder / LEFT_OUT)
    write_json({**look.as_dict(), "asked_channels": channels}, noted)
    return _refuse_if_strict(look, folder, asked)


def _refuse_if_strict(look: Look, folder: Path, asked: dict[str, Any]) -> Look:
    """Raises a ConfigError at unreadable images where a person wants all of them."""
    if asked["strict"] and look.unreadable:
        name, reason = look.unreadable[0]
        raise ConfigError(
            f"{len(look.unreadable)} images can't be used, as {name}: {reason}; {folder / LEFT_OUT} lists them: mend "
            "them, or leave --strict out to train without them"
        )
    return look


def _same_run(folder: Path, wanted: dict[str, Any], config: Path) -> bool:
    """Whether the folder holds this run already.

    Raises:
        ConfigError: It holds one with other options.
    """
    noted = folder / ASKED
    if not (noted.is_file() and config.is_file()):
        return False
    before = json.loads(noted.read_text())
    aside = ("dry_run", "strict")  # they change nothing of what is trained
    other = [name for name in wanted if name not in aside and before.get(name) != wanted[name]]
    if other and latest_checkpoint(str(folder)) is None:
        return False  # nothing is lost that was trained
    if other:
        raise ConfigError(
            f"{folder} holds a run with other options ({', '.join(other)} was {before.get(other[0])!r} and is "
            f"{wanted[other[0]]!r}): give the options of before to go on with it, or another --out"
        )
    return True


def _choices(look: Look, asked: dict[str, Any], place: str) -> list[Choice]:
    """Chooses everything."""
    gpu = torch.cuda.is_available()
    memory = torch.cuda.mem_get_info()[0] if gpu else available_bytes() / asked["devices"]
    channels = asked["channels"] or look.suggested_channels
    held = _held_bytes(look, channels)
    facts: dict[str, Any] = {
        "images": look.images,
        "found_channels": look.suggested_channels,
        "channel_words": _channel_words(look.channels),
        "side": look.shorter[1],
        "one_size": look.one_size,
        "gpu": gpu,
        "devices": asked["devices"],
        "cores": len(os.sched_getaffinity(0)),
        "memory": memory,
        "memory_words": readable_size(memory),
        "most_batch": 256 if gpu else 128,
        "in_memory": False,
        "held_words": readable_size(held),
        "start_backbone": None,
        "start_stem": None,
        "start": 0.3 if asked["start"] else 1.0,
        "start_words": ", a third of it from trained weights" if asked["start"] else "",
    }
    if asked["start"]:
        found = what_it_is(read_weights(asked["start"])[0])
        facts["start_backbone"], facts["start_stem"] = found
    choices = choose(facts, asked)
    options = {choice.option: choice.value for choice in choices}
    if _in_memory(look, options):
        choices = choose(facts | {"in_memory": True}, asked)
    return choices


def _channel_words(found: Mapping[int, int]) -> str:
    """How many images have how many channels, by channels to images."""
    return ", ".join(
        f"{images} {'image has' if images == 1 else 'images have'} {channels} "
        f"{'channel' if channels == 1 else 'channels'}"
        for channels, images in sorted(found.items())
    )


def _held_bytes(look: Look, channels: int) -> int:
    """What all images take, decoded."""
    height, width = look.one_size or (look.shorter[1], look.longer[1])
    return look.images * height * width * channels


def _in_memory(look: Look, options: dict[str, Any]) -> bool:
    """Whether decoded images are kept: bytes of one size that need no step before the views, and not too many."""
    fits = _held_bytes(look, options["channels"]) < IN_MEMORY * available_bytes()
    return bool(look.one_size and not options["load_size"] and look.value_range is None and fits)


def _table(look: Look, choices: Sequence[Choice], folder: Path) -> Table:
    """What was seen and what was chosen, for people."""
    seen = (
        f"{look.images} images, shorter side {look.shorter[0]} to {look.shorter[2]} pixels (median {look.shorter[1]}), "
        f"{', '.join(look.dtypes)}; {len(look.unreadable)} left out"
    )
    if look.unreadable:
        seen += f" (listed in {folder / LEFT_OUT})"
    for kind, number in look.kinds.items():
        seen += f"; {kind}: {number}"
    table = Table(title=seen, title_justify="left")
    for name in ("choice", "value", "why", "source"):
        table.add_column(name, overflow="fold")
    for choice in choices:
        table.add_row(choice.option, str(choice.value), choice.why, choice.source)
    return table


def _config(
    place: str,
    look: Look,
    asked: dict[str, Any],
    choices: list[Choice],
    folder: Path,
    console: Console,
) -> tuple[Config, list[Choice]]:
    """The config of the choices; with --hours after the time of a step was taken."""
    options: dict[str, Any] = {choice.option: choice.value for choice in choices}
    options["seed"] = asked["seed"]
    labels = asked["labels"]
    if labels is not None:
        options["labels_held_back"] = _labelled(labels)
        labels = os.path.abspath(labels)
    left_out = str(folder.resolve() / LEFT_OUT) if look.unreadable else None
    data = Data(os.path.abspath(place), look, left_out, labels)
    held = _in_memory(look, options)
    cfg = own_config(data, options, held, asked["devices"])
    if asked["hours"] is not None:
        seconds = _seconds_per_step(cfg, options, look)
        each = max(
            (look.images - options["held_back"]) // (options["batch_size"] * asked["devices"]), 1
        )
        epochs = max(int(asked["hours"] * 3600 * OVERHEAD / seconds / each), 1)
        console.print(
            f"a step takes {seconds:.3f} s here: {epochs} epochs in {asked['hours']:g} hours"
        )
        given = {**asked, "epochs": epochs}
        choices = [
            choice._replace(why=f"{asked['hours']:g} hours at {seconds:.3f} s a step")
            if choice.option == "epochs"
            else choice
            for choice in _choices(look, given, place)
        ]
        options |= {choice.option: choice.value for choice in choices}
        cfg = own_config(data, options, held, asked["devices"])
    if asked["start"] is not None:
        content, lines = start_of(asked["start"], cfg)
        write_atomically(content, folder / START)
        console.print(*lines, sep="\n")
        cfg.load_from = str((folder / START).resolve())
    return cfg, choices


def _labelled(labels: str) -> int:
    """How many of the images with labels are asked about; the others answer."""
    source = open_source(labels)
    if source.labels is None:
        raise ConfigError(
            f"--labels is {labels!r}, and its images have no classes: name a folder of class folders, or a list with a "
            "column label"
        )
    return min(max(len(source) // 5, 1), 10_000)


def _seconds_per_step(cfg: Config, options: dict[str, Any], look: Look) -> float:
    """Median time of a step on random images."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    MessageHub.get_current_instance().update_info("max_iters", 1000)  # a cosine of BYOL's asks
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel("ERROR")  # it lists every tensor that is drawn
    step = TrainStep(cfg, device, synthetic=False)
    logger.setLevel(level)
    sides = (options["load_size"],) * 2 if options["load_size"] else look.one_size
    assert sides is not None
    shape = (options["batch_size"], options["channels"], *sides)
    images = torch.randint(256, shape, generator=torch.Generator().manual_seed(0))
    batch = {"inputs": images.float() if look.value_range else images.byte()}
    return median([step.seconds(dict(batch)) for _ in range(8)][3:])


def _command(place: str, folder: Path, asked: dict[str, Any]) -> str:
    """The command line that asks for the same."""
    words = ["mixssl pretrain", place, "--out", str(folder)]
    for name, value in asked.items():
        if name == "dry_run":
            continue
        option = "--from" if name == "start" else f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:  # 0 is a value
            words += [option, str(value)]
    return " ".join(words)


def _train(config: Path, folder: Path, devices: int) -> None:
    """Trains, or goes on training; nothing is done where the run has ended.

    Raises:
        SystemExit: With the exit code of the processes, where there are several.
    """
    epochs = Config.fromfile(config).train_cfg.max_epochs
    if (folder / f"epoch_{epochs}.pth").is_file():
        return
    words = [str(config), "--work-dir", str(folder), "--resume"]
    if devices == 1:
        parser = argparse.ArgumentParser()
        train_arguments(parser)
        train(parser.parse_args(words))
    else:
        tools = tools_folder()
        launch = [sys.executable, str(tools / "torchrun.py"), "--standalone"]
        launch += [f"--nproc_per_node={devices}", str(tools / "train.py")]
        code = _launched([*launch, *words, "--launcher", "pytorch"])
        if code:
            raise SystemExit(code)
    if not (folder / f"epoch_{epochs}.pth").is_file():
        raise SystemExit(0)  # stopped in good order; the same command goes on


def _launched(command: Sequence[str]) -> int:
    """Runs a launcher, hands SIGTERM on to it, and waits until its processes have saved; returns the exit code."""
    process = subprocess.Popen(command)
    usual = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except KeyboardInterrupt:  # the launcher has had it too
        return process.wait()
    finally:
        signal.signal(signal.SIGTERM, usual)
