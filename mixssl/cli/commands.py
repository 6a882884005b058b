"""The command ``mixssl`` and its verbs. Imports nothing heavy: --help answers at once."""

import argparse
import importlib
import sys
from collections.abc import Callable
from typing import NamedTuple

from mixssl.cli import parsers
from mixssl.cli.arguments import PROTOCOLS
from mixssl.cli.tool import run_tool
from mixssl.version import __version__


class Command(NamedTuple):
    """A verb: a sentence for its help, its arguments, and the function that gets them, as ``module:function``."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    function: str


COMMANDS = {
    "pretrain": Command(
        "a folder of images in, a backbone out",
        parsers.pretrain_arguments,
        "mixssl.cli.pretrain:main",
    ),
    "train": Command("train a config", parsers.train_arguments, "mixssl.cli.train:train"),
    "test": Command(
        "test a checkpoint of a config that has a test loop",
        parsers.test_arguments,
        "mixssl.cli.testing:test",
    ),
    "evaluate protocols": Command(
        "top-1 of a pre-trained model by several protocols: "
        + "; ".join(f"{name}: {title}" for name, title in PROTOCOLS.items()),
        parsers.protocols_arguments,
        "mixssl.cli.evaluate:protocols",
    ),
    "evaluate knn": Command(
        "k-NN accuracy of a pre-trained model on knn_bank and knn_query of its config",
        parsers.knn_arguments,
        "mixssl.cli.evaluate:knn",
    ),
    "evaluate linear": Command(
        "accuracy of a linear classifier trained on features that are extracted once, without augmentation",
        parsers.linear_arguments,
        "mixssl.cli.evaluate:linear",
    ),
    "compare": Command(
        "train configs under one budget, judge them alike, and put them side by side",
        parsers.compare_arguments,
        "mixssl.cli.compare:compare",
    ),
    "export": Command(
        "write a checkpoint's backbone for timm, Hugging Face, torchvision, mmpretrain and mmdet",
        parsers.export_arguments,
        "mixssl.cli.hand_over:export",
    ),
    "embed": Command(
        "write the features of images with their names; stopped, the same command goes on",
        parsers.embed_arguments,
        "mixssl.cli.embed:embed",
    ),
    "visualize neighbours": Command(
        "draw images and those most like them",
        parsers.neighbours_arguments,
        "mixssl.cli.embed:neighbours",
    ),
    "doctor": Command(
        "say what is installed, what can run here, and what is missing and how to get it",
        lambda parser: None,
        "mixssl.cli.doctor:doctor",
    ),
    "visualize mixtures": Command(
        "draw what a config's mixer does to its first training batch",
        parsers.mixtures_arguments,
        "mixssl.cli.mixtures:mixtures",
    ),
}
"""Verbs by name, in the order in which the help lists them."""
GROUPS = {
    "evaluate": "judge a pre-trained model by its features",
    "visualize": "draw what can be seen",
}
"""First words of verbs of two words."""


def run(name: str) -> int:
    """Runs one command by the arguments of this process, as ``tools/<name>.py`` does; returns the exit code."""
    command = COMMANDS[name]

    def start() -> None:
        parser = argparse.ArgumentParser(description=_sentence(command.help))
        command.add_arguments(parser)
        _carry_out(command, parser.parse_args())

    return run_tool(start, sys.argv[0].rpartition("/")[2])


def main() -> int:
    """What ``mixssl`` and ``python -m mixssl`` do; returns the exit code."""
    words = [word for word in sys.argv[1:3] if not word.startswith("-")]
    name = next((name for name in (" ".join(words), *words[:1]) if name in COMMANDS), "")

    def start() -> None:
        args = _parser().parse_args()
        _carry_out(COMMANDS[args.command], args)

    return run_tool(start, f"mixssl {name}".strip())


def _parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="mixssl", description="Image mixtures for self-supervised visual pre-training."
    )
    parser.add_argument("--version", action="version", version=f"mixssl {__version__}")
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)
    groups = {}
    for group, words in GROUPS.items():
        groups[group] = verbs.add_parser(
            group, help=words, description=_sentence(words)
        ).add_subparsers(metavar="WHAT", required=True)
    for name, command in COMMANDS.items():
        group, _, what = name.rpartition(" ")
        own = (groups[group] if group else verbs).add_parser(
            what, help=command.help, description=_sentence(command.help)
        )
        command.add_arguments(own)
        own.set_defaults(command=name)
    return parser


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _carry_out(command: Command, args: argparse.Namespace) -> None:
    """Imports what a command needs, now that it is known, and calls it."""
    module, _, function = command.function.partition(":")
    getattr(importlib.import_module(module), function)(args)
