#!/usr/bin/env python
"""Writes a data set as a folder of images per class, which mmpretrain's CustomDataset and others read:

python tools/convert/image_folders.py stl10 data/stl10 OUT --split train test
"""

import argparse
import shutil
import sys
from pathlib import Path

import mmcv
from mmpretrain.datasets import BaseDataset

from mixssl.cli.tool import run_tool
from mixssl.datasets import CIFAR10, CIFAR100, STL10, TinyImageNet
from mixssl.utils.errors import ConfigError

DATASETS = {"cifar10": CIFAR10, "cifar100": CIFAR100, "stl10": STL10, "tiny_imagenet": TinyImageNet}
NO_LABEL = "unlabeled"


def parse_args() -> argparse.Namespace:
    """Data set, root, output, splits."""
    parser = argparse.ArgumentParser(
        description="Write OUT/<split>/<class>/<image>: files are copied as they are, pixels become PNG."
    )
    parser.add_argument("dataset", choices=sorted(DATASETS))
    parser.add_argument("data_root", help="folder of the published files")
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument(
        "--split", nargs="+", default=["train"], help="one or more, default train", metavar="SPLIT"
    )
    return parser.parse_args()


def write_split(dataset: BaseDataset, folder: Path) -> int:
    """Writes a split.

    Args:
        dataset: Its classes name the folders, Tiny ImageNet's by their wnids; images without a label go to "unlabeled".
        folder: Must not exist yet.

    Returns:
        Number of images.

    Raises:
        ConfigError: The folder exists, or an image can't be written.
    """
    if folder.exists():
        raise ConfigError(f"{str(folder)!r} exists already; remove it or name another folder.")
    names = dataset.metainfo.get("wnids") or dataset.CLASSES
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        name = names[info["gt_label"]] if "gt_label" in info else NO_LABEL
        (folder / name).mkdir(parents=True, exist_ok=True)
        if "img" in info:
            path = folder / name / f"{i:06d}.png"
            if not mmcv.imwrite(info["img"], str(path)):
                raise ConfigError(f"{str(path)!r} can't be written; is the disk full?")
        else:
            shutil.copyfile(info["img_path"], folder / name / Path(info["img_path"]).name)
    return len(dataset)


def main() -> None:
    """Reads every split before the first is written, then says how many images went where."""
    args = parse_args()
    kind = DATASETS[args.dataset]
    datasets = {split: kind(data_root=args.data_root, split=split) for split in args.split}
    for split, dataset in datasets.items():
        folder = args.out / split
        print(f"{write_split(dataset, folder)} images in {folder}")


if __name__ == "__main__":
    sys.exit(run_tool(main, "image_folders.py"))
