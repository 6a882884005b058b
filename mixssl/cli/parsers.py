"""Arguments of every command. Imports nothing heavy: --help answers at once."""

import argparse
from pathlib import Path

from mixssl.cli.arguments import (
    PROTOCOLS,
    USUAL_K,
    add_common_arguments,
    add_model_arguments,
    add_speed_arguments,
)
from mixssl.cli.choices import RULES
from mixssl.utils.cfg_options import OptionsAction


def pretrain_arguments(parser: argparse.ArgumentParser) -> None:
    """Images, where to write, and an option for each choice."""
    parser.add_argument(
        "images",
        help="a folder of any depth, a list of files (.txt, .csv, .jsonl, .parquet), tar shards, a parquet file with "
        "images, an LMDB, or a data set saved by Hugging Face's save_to_disk",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument(
        "--labels", metavar="DIR", help="images in class folders to measure by k-NN; not trained on"
    )
    parser.add_argument(
        "--from",
        dest="start",
        metavar="FILE",
        help="weights to start from: of torchvision, timm, mmpretrain, Hugging Face (.safetensors) or of ours",
    )
    parser.add_argument("--hours", type=float, help="choose epochs by the time that a step takes")
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="processes, default 1")
    parser.add_argument("--seed", type=int, default=0, help="of everything random, default 0")
    parser.add_argument("--strict", action="store_true", help="stop at an image that can't be read")
    parser.add_argument(
        "--dry-run", action="store_true", help="look, choose, write the config, and end"
    )
    chosen = parser.add_argument_group("choices", "what is not given is chosen, and said why")
    for rule in RULES:
        chosen.add_argument(
            f"--{rule.option.replace('_', '-')}",
            type=str if isinstance(rule.kind, tuple) else rule.kind,
            choices=rule.kind if isinstance(rule.kind, tuple) else None,
            help=rule.help,
        )


def train_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of mmpretrain's tool, and --data-root, --seed, --deterministic."""
    add_common_arguments(parser)
    add_speed_arguments(parser)
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        metavar="CHECKPOINT",
        help="continue from a checkpoint; without a path from the latest one in the work directory, if there is one",
    )
    parser.add_argument(
        "--epochs",
        type=int,
        metavar="N",
        help="train for so many epochs, with schedules, warm-ups and monitors stretched to them",
    )
    parser.add_argument("--no-validate", action="store_true", help="leave validation out")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate by total batch / auto_scale_lr.base_batch_size",
    )
    parser.add_argument(
        "--no-persistent-workers", action="store_true", help="start data workers anew each epoch"
    )
    parser.add_argument(
        "--seed", type=int, help="seed of everything random; default: drawn and logged"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="deterministic algorithms only (slower)"
    )


def test_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of mmpretrain's tool, and --data-root."""
    add_common_arguments(parser)
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--amp", action="store_true", help="float16 (needs a GPU)")
    parser.add_argument("--out", help="file for the results (.pkl, or .json for metrics)")
    parser.add_argument(
        "--out-item",
        choices=["metrics", "pred"],
        help="what --out holds: metrics, or predictions (default)",
    )
    parser.add_argument("--show-dir", help="folder for pictures of predictions")
    parser.add_argument("--show", action="store_true", help="show predictions in a window")
    parser.add_argument("--interval", type=int, default=1, help="show every n-th sample")
    parser.add_argument(
        "--wait-time", type=float, default=2, help="seconds for which a window stays"
    )
    parser.add_argument(
        "--tta", action="store_true", help="average over the flipped image (classifiers)"
    )


def compare_arguments(parser: argparse.ArgumentParser) -> None:
    """What to compare, how long, by what, and where."""
    parser.add_argument("configs", nargs="+", help="training configs")
    parser.add_argument("--epochs", type=int, required=True, help="of each run")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default 0")
    parser.add_argument(
        "--protocols",
        nargs="+",
        choices=list(PROTOCOLS),
        default=["knn5"],
        metavar="NAME",
        help=f"of {', '.join(PROTOCOLS)}; default knn5",
    )
    parser.add_argument("--names", nargs="+", help="what to call the configs")
    for option, words in (
        ("--cfg-options", "change every config; KEY?=VALUE only those that have the key"),
        ("--sweep", "a row for each value: KEY=v1,v2,... or KEY=[v1,v2]"),
    ):
        parser.add_argument(
            option, nargs="+", action=OptionsAction, default={}, metavar="KEY=VALUE", help=words
        )
    parser.add_argument(
        "--with-baseline",
        action="store_true",
        help="compare each row with the same config without its mixture, not with the first row",
    )
    parser.add_argument(
        "--with-untrained", action="store_true", help="judge initial weights too, of seed 0"
    )
    parser.add_argument(
        "--equal-compute",
        nargs="?",
        const="measured",
        choices=["measured", "needed"],
        help="also train each baseline for as much compute as its mixture has, by the cost of a step as measured "
        "(default) or as its passes need; implies --with-baseline",
    )
    parser.add_argument(
        "--cost-pairs", type=int, default=10, help="steps timed for the cost, default 10"
    )
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
    parser.add_argument("--data", metavar="CONFIG", help="judge on the images of this config")
    add_speed_arguments(parser)
    parser.add_argument(
        "--deterministic", action="store_true", help="deterministic algorithms only (slower)"
    )
    parser.add_argument("--device", help="to judge on; default: cuda where there is one")
    parser.add_argument("--out", type=Path, default=Path("work_dirs/compare"), metavar="DIR")
    parser.add_argument("--title", help="of the page; default: name of the folder")
    parser.add_argument("--dry-run", action="store_true", help="say what would be run, and end")


def export_arguments(parser: argparse.ArgumentParser) -> None:
    """Checkpoint, encoder, where to write."""
    parser.add_argument("checkpoint", help="of pre-training, with its config inside")
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: backbone beside it")
    parser.add_argument(
        "--encoder",
        choices=["online", "momentum"],
        default="online",
        help="which one, default online",
    )
    parser.add_argument(
        "--size", type=int, help="side of the images; default: of the run's views, or 224"
    )
    parser.add_argument(
        "--value-range",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="what was 0 and 255 of images of more than 8 bits; default: as images.json beside it says",
    )


def _backbone_arguments(parser: argparse.ArgumentParser) -> None:
    """What looks at images by a backbone."""
    parser.add_argument("backbone", type=Path, help="folder backbone, of mixssl pretrain or export")
    parser.add_argument("images", help="as mixssl pretrain takes them")
    parser.add_argument("--device", help="default: cuda where there is one, else cpu")
    parser.add_argument("--batch-size", type=int, default=64, help="images at a time, default 64")
    parser.add_argument("--workers", type=int, default=2, help="processes that load, default 2")


def embed_arguments(parser: argparse.ArgumentParser) -> None:
    """Backbone, images, where to write."""
    _backbone_arguments(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="features: .parquet or .npz"
    )


def neighbours_arguments(parser: argparse.ArgumentParser) -> None:
    """Backbone, images, how many."""
    _backbone_arguments(parser)
    parser.add_argument("--out", type=Path, default=Path("neighbours.png"), metavar="PNG")
    parser.add_argument("--num", type=int, default=12, help="images asked for, default 12")
    parser.add_argument("--k", type=int, default=6, help="neighbours of each, default 6")
    parser.add_argument(
        "--most",
        type=int,
        default=5000,
        help="images that are looked at, drawn at random, default 5000",
    )
    parser.add_argument("--seed", type=int, default=0, help="of which ones, default 0")


def knn_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and data, and the settings of the vote."""
    add_model_arguments(parser)
    parser.add_argument(
        "--vote",
        choices=list(USUAL_K),
        default="weighted",
        help="weighted: by cosine similarity, exp(s / τ) (default); majority: unweighted, by Euclidean distance",
    )
    parser.add_argument("--k", type=int, help="neighbours; default 200 weighted, 5 by majority")
    parser.add_argument(
        "--temperature", type=float, default=0.1, help="τ of the weighted vote, default 0.1"
    )
    parser.add_argument(
        "--feature",
        default="backbone",
        help="backbone (pooled, default) or projected (after the neck)",
    )
    parser.add_argument(
        "--half", action="store_true", help="keep features in float16, for banks of ImageNet's size"
    )
    parser.add_argument("--query-chunk", type=int, default=256, help="queries compared at a time")
    parser.add_argument("--bank-chunk", type=int, default=65536, help="neighbours at a time")


def linear_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and data, and the settings of the classifier."""
    add_model_arguments(parser)
    # What is not given is the config's `linear_probe`, and what that does not say the papers'.
    parser.add_argument("--epochs", type=int, help="default 500")
    parser.add_argument("--lr", type=float, help="first learning rate, default 1e-2")
    parser.add_argument("--lr-end", type=float, help="last one; default: the first / 1e4")
    parser.add_argument("--weight-decay", type=float, help="default 5e-6")
    parser.add_argument("--batch-size", type=int, help="images per step, default 1000")
    parser.add_argument(
        "--sweep",
        type=float,
        nargs="+",
        metavar="LR",
        help="try these learning rates on a tenth of the training images first, and take the best",
    )
    parser.add_argument(
        "--standardize",
        action="store_const",
        const=True,
        help="scale features to mean 0 and spread 1",
    )
    parser.add_argument(
        "--logistic",
        action="store_true",
        help="scikit-learn's logistic regression on standardised features instead (small sets)",
    )
    parser.add_argument("--seed", type=int, help="order of the batches, default 0")


def protocols_arguments(parser: argparse.ArgumentParser) -> None:
    """Model and data, and the protocols."""
    add_model_arguments(parser)
    parser.add_argument(
        "--protocols",
        nargs="+",
        choices=list(PROTOCOLS),
        default=["knn5", "linear"],
        metavar="NAME",
        help=f"of {', '.join(PROTOCOLS)}; default knn5 linear",
    )


def mixtures_arguments(parser: argparse.ArgumentParser) -> None:
    """Config, checkpoints, output, number of mixtures, seed."""
    parser.add_argument("config", help="config file with a mixer")
    parser.add_argument(
        "--checkpoints",
        nargs="+",
        default=[],
        metavar="FILE",
        help="of a run with a learned mixer, in the order to be drawn in",
    )
    parser.add_argument(
        "--out", help="picture to write, default work_dirs/<config's name>/mixtures.png"
    )
    parser.add_argument(
        "--num", type=int, help="mixtures to draw, default 8, or 4 side by side over checkpoints"
    )
    parser.add_argument("--seed", type=int, default=0, help="of images and draws, default 0")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the images")
