#!/usr/bin/env python
"""Takes the backbone out of a pre-training checkpoint, for mmdet, torchvision, timm or Detectron2:

python tools/convert/extract_backbone.py CHECKPOINT --depth 50 --to torchvision
python tools/convert/extract_backbone.py CHECKPOINT --depth 18 --small-images --to torchvision
python tools/convert/extract_backbone.py CHECKPOINT --config configs/benchmarks/detection/DETECTOR.py --check
"""

import argparse
import sys
from pathlib import Path

from mixssl.cli.tool import run_tool
from mixssl.engine.atomic_writes import write_atomically
from mixssl.transfer import LAYOUTS, extract, read_checkpoint, resnet_tensors
from mixssl.transfer.check import check_transfer, detector_tensors
from mixssl.transfer.extraction import file_content, file_name
from mixssl.utils.checkpoints import BACKBONES
from mixssl.utils.errors import ConfigError


def parse_args() -> argparse.Namespace:
    """Checkpoint, target, names, output."""
    parser = argparse.ArgumentParser(
        description="Take the backbone out of a pre-training checkpoint; a target that it does not fit is refused."
    )
    parser.add_argument("checkpoint", help="of mixssl, mmpretrain, torchvision or MoCo's authors")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument(
        "--depth", type=int, help="the target is a plain ResNet of this depth: 18, 34, 50, 101, 152"
    )
    target.add_argument("--config", help="the target is the detector of this config")
    parser.add_argument(
        "--width", type=int, default=64, help="base channels of --depth's ResNet, default 64"
    )
    parser.add_argument(
        "--small-images",
        action="store_true",
        help="--depth's ResNet has the stem for small images, a 3x3 convolution without pooling",
    )
    parser.add_argument(
        "--to", choices=LAYOUTS, default="mmdet", help="whose names and file format, default mmdet"
    )
    parser.add_argument(
        "--encoder", choices=list(BACKBONES), default="online", help="which one, default online"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder to write to, default the checkpoint's"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="with --config: compare the features of an image before and after",
    )
    args = parser.parse_args()
    if args.check and (args.config is None or args.to != "mmdet"):
        parser.error("--check compares with a detector of mmdet: give --config, and leave --to out")
    if args.small_images and args.config is not None:
        parser.error("--small-images goes with --depth: no detector has that stem")
    return args


def main() -> None:
    """Reads, compares, writes, says what became of every tensor; the file's path is the last line."""
    args = parse_args()
    if args.config is not None:
        wanted = detector_tensors(args.config)
    else:
        wanted = resnet_tensors(args.depth, args.width, args.small_images)
    checkpoint = read_checkpoint(args.checkpoint)
    extraction = extract(checkpoint, wanted, args.encoder)
    print(extraction.report())
    seen = checkpoint.pixels
    if seen is None:
        print("pixels: the checkpoint does not say how pre-training normalised them")
    else:
        order = "RGB" if seen["to_rgb"] else "BGR"
        print(f"pixels: {order} from 0 to 255, mean {seen['mean']}, std {seen['std']}")
    content = file_content(extraction, checkpoint, args.to)
    folder = args.out or checkpoint.path.parent
    path = folder / file_name(checkpoint, args.to, args.encoder, content)
    try:
        write_atomically(content, path)
    except OSError as error:
        raise ConfigError(f"{str(path)!r} can't be written ({error}): choose --out DIR") from error
    if args.check:
        for line in check_transfer(checkpoint, args.encoder, args.config, path):
            print(line)
    print(path)


if __name__ == "__main__":
    sys.exit(run_tool(main, "extract_backbone.py"))
