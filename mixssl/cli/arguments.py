"""Arguments that tools share. Imports nothing heavy: --help answers at once."""

import argparse

from mixssl.utils.cfg_options import add_cfg_options
from mixssl.utils.names import UNTRAINED

PROTOCOLS = {
    "knn200": "weighted 200-NN, τ 0.1, backbone",
    "knn200_projected": "weighted 200-NN, τ 0.1, projected",
    "knn5": "5-NN, Euclidean, backbone",
    "linear": "linear probe on cached features",
    "logistic": "logistic regression",
}
"""Names and titles of mixssl.evaluation.PROTOCOLS."""
USUAL_K = {"weighted": 200, "majority": 5}
"""Neighbours of a k-NN, by its vote."""


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that training and testing share."""
    parser.add_argument("config", help="config file")
    parser.add_argument(
        "--work-dir", help="folder for logs and checkpoints; default work_dirs/<config's name>"
    )
    parser.add_argument(
        "--data-root", metavar="DIR", help="folder of the images, for every data set of the config"
    )
    parser.add_argument(
        "--no-pin-memory", action="store_true", help="set pin_memory=False in every data loader"
    )
    add_cfg_options(parser)
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="what started the processes",
    )
    parser.add_argument(
        "--traceback", action="store_true", help="say of an error also where it was found"
    )  # run_tool takes it out of the arguments of every tool
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0, help=argparse.SUPPRESS)


def add_amp(parser: argparse.ArgumentParser) -> None:
    """Adds ``--amp``."""
    parser.add_argument(
        "--amp",
        nargs="?",
        const="float16",
        choices=["float16", "bfloat16"],
        help="mixed precision: float16 unless said (needs a GPU), or bfloat16",
    )


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what mixssl.cli.speed writes into a config."""
    add_amp(parser)
    parser.add_argument(
        "--device-views", action="store_true", help="make the views on the device that trains"
    )
    parser.add_argument(
        "--in-memory", action="store_true", help="decode the images once, and hold them in memory"
    )


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds config, checkpoint and what belongs to the model."""
    parser.add_argument("config", help="config that the model was trained with")
    parser.add_argument(
        "checkpoint", help=f"its checkpoint, or {UNTRAINED!r} for the weights it starts from"
    )
    parser.add_argument("--device", help="default: cuda where there is one, else cpu")
    add_data_arguments(parser)


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what belongs to the images, and where the result goes."""
    parser.add_argument(
        "--data",
        metavar="CONFIG",
        help="take knn_bank and knn_query from this config: the features of other images, by the same model",
    )
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
    parser.add_argument(
        "--tokens", choices=["cls", "avg"], default="cls", help="for backbones that give tokens"
    )
    parser.add_argument(
        "--out", metavar="JSON", help="file for the result; default: beside the checkpoint"
    )
    add_cfg_options(parser)


def add_comparison_arguments(parser: argparse.ArgumentParser, picture: str) -> None:
    """Adds config, checkpoints, their names, data and the picture.

    Args:
        parser: Gains the arguments.
        picture: Name of the picture's file by default.
    """
    parser.add_argument("config", help="config that the models were trained with")
    parser.add_argument(
        "checkpoints",
        nargs="+",
        help=f"their checkpoints; {UNTRAINED!r} for the weights it starts from",
    )
    parser.add_argument("--names", nargs="+", help="what to call them; default: file names")
    parser.add_argument(
        "--picture", help=f"default work_dirs/<config's name>/{picture}; the numbers go beside it"
    )
    parser.add_argument("--device", help="default: cuda where there is one, else cpu")
    add_data_arguments(parser)
