"""A checkout in which every command of the documents takes seconds: the real tools, narrow models, few images."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.datasets.categories import CUB_CATEGORIES, FGVCAIRCRAFT_CATEGORIES
from mmpretrain.utils import register_all_modules
from safetensors.torch import save_file
from support.detection import shrunk_detector, write_voc
from support.first_config import write_first_config
from support.images import noise, write_folder
from support.launched import free_port
from support.recipes import BATCH, PIXELS, shrunk
from support.tools import ROOT
from torchvision.models import resnet50

from mixssl.cli.hand_over import write_backbone
from mixssl.cli.speed import use_amp
from mixssl.transfer.backbone_folder import Backbone
from mixssl.utils.config_checks import LOADERS
from mixssl.utils.config_hooks import hooks_of

IMAGES = {"train_dataloader": 4 * BATCH, "knn_bank": 220}
"""How many images a loader reads: four steps an epoch, and more neighbours than any protocol asks for."""
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
VIT = {"embed_dims": 24, "num_layers": 2, "num_heads": 2, "feedforward_channels": 48}
IN1K, CIFAR_STEM = "configs/unmix/mocov2_r50_in1k.py", "configs/unmix/moco_r18_cifar10.py"


class SmallCheckout:
    """A folder with ``tools``, ``configs`` and ``data`` as in the repository, all but the tools in small.

    Args:
        folder: Where to make it.
    """

    def __init__(self, folder: Path) -> None:
        register_all_modules(init_default_scope=False)
        self.folder = folder
        (folder / "bin").mkdir()
        for name in ("tools", "mixssl"):
            (folder / name).symlink_to(ROOT / name)
        for name, arguments in (("python", ""), ("mixssl", "-m mixssl")):
            program = folder / "bin" / name
            program.write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
            program.chmod(0o755)
        (folder / ".venv/bin").mkdir(parents=True)
        (folder / ".venv/bin/activate").write_text(f"PATH={folder}/bin:$PATH\n")
        _write_data(folder / "data")

    def prepare(self, commands: str) -> str:
        """Writes the configs that commands name, and the checkpoints that they start from; nothing of others is left.

        Returns:
            The commands, with ``CHECKPOINT`` replaced by one that fits the config beside it.
        """
        shutil.rmtree(self.folder / "work_dirs", ignore_errors=True)
        for pattern in re.findall(r"\bconfigs/[\w/{},*.-]+\.py", commands):
            self._write_configs(pattern)
        for name, epochs in re.findall(r"work_dirs/(\w+)/epoch_(\d+)\.pth", commands):
            path = self.folder / f"work_dirs/{name}/epoch_{epochs}.pth"
            self.write_checkpoint(_config_named(name, commands), path)
        if "mine.py" in commands:
            write_first_config(self.folder).rename(self.folder / "mine.py")
        if "moco_v2_200ep" in commands:
            self._write_authors_checkpoint("moco_v2_200ep_pretrain.pth.tar")
        if "resnet50.safetensors" in commands:
            save_file(resnet50().state_dict(), self.folder / "resnet50.safetensors")
        if "work_dirs/mine/backbone" in commands and "mixssl pretrain" not in commands:
            _write_backbone(self.folder / "work_dirs/mine/backbone")
        lines = re.split(r"(?<!\\)\n", commands)
        return "\n".join(self._with_checkpoint(line) for line in lines)

    def _with_checkpoint(self, line: str) -> str:
        if "CHECKPOINT" not in line:
            return line
        config = re.search(r"configs/(?!_base_|benchmarks)\S+\.py", line)
        fits = config[0] if config else CIFAR_STEM if "cifar10" in line else IN1K
        path = self.folder / f"{fits.replace('/', '_')}.pth"
        return line.replace("CHECKPOINT", self.write_checkpoint(fits, path).name)

    def write_checkpoint(self, config: str, path: Path) -> Path:
        """Saves a config's small model as a run of it would."""
        whole = "some_run" in path.parts  # to export: other libraries know no narrow ResNet
        cfg = Config.fromfile(ROOT / config) if whole else self._write_config(config)
        with DefaultScope.overwrite_default_scope("mmpretrain"):
            model = MODELS.build({**cfg.model, "data_preprocessor": cfg.data_preprocessor})
            model.init_weights()
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = {"epoch": 1, "iter": 4, "cfg": cfg.pretty_text}
        torch.save({"meta": meta, "state_dict": model.state_dict()}, path)
        return path

    def _write_authors_checkpoint(self, name: str) -> None:
        """Saves the small ImageNet recipe's model as MoCo's authors publish theirs."""
        path = self.write_checkpoint(IN1K, self.folder / name)
        whole = torch.load(path, weights_only=False)["state_dict"]
        state = {
            key.replace("backbone.", "module.encoder_q.", 1): value
            for key, value in whole.items()
            if key.startswith("backbone.")
        }
        torch.save({"epoch": 200, "arch": "resnet50", "state_dict": state}, path)

    def run(self, commands: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs commands in the folder, in a shell that ends at the first one that fails."""
        path = f"{self.folder}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        settings = {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        settings["PORT"] = str(free_port())  # another checkout may launch at the same time
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env={"HOME": str(self.folder), **settings, **environment},
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def _write_configs(self, pattern: str) -> None:
        listed = subprocess.run(["bash", "-c", f"echo {pattern}"], cwd=ROOT, capture_output=True)
        for name in listed.stdout.decode().split():
            self._write_config(name)

    def _write_config(self, name: str) -> Config:
        path = self.folder / name
        cfg = small_config(ROOT / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Config(cfg._cfg_dict, format_python_code=False).pretty_text)
        return cfg


def _config_named(name: str, commands: str) -> str:
    """The config whose work directory has this name; of several the one whose folder the commands speak of.

    What starts from a checkpoint, as fine-tuning does, has not written it.
    """
    if name == "some_run":
        return CIFAR_STEM
    paths = ROOT.glob(f"configs/*/**/{name}.py")
    found = [
        path.relative_to(ROOT) for path in paths if "init_cfg" not in Config.fromfile(path).model
    ]
    spoken_of = [path for path in found if path.parts[1] in commands]
    ours = [path for path in found if path.parts[1] == "unmix"]
    return (spoken_of or ours or found)[0].as_posix()


def small_config(path: Path) -> Config:
    """A config of the repository with a narrow model, small images, and no more than a few steps."""
    cfg = Config.fromfile(path)
    detection = cfg.get("default_scope") == "mmdet"
    if cfg.get("model"):
        cfg.model = _narrow(cfg)
    for name in (*LOADERS, "knn_bank", "knn_query"):
        if cfg.get(name):
            _few(cfg[name], IMAGES.get(name, 2 * BATCH), detection)
    _smaller(cfg._cfg_dict)
    if cfg.get("train_cfg"):
        _shorten(cfg)
    if cfg.get("optim_wrapper", {}).get("type") == "AmpOptimWrapper":
        use_amp(cfg, "bfloat16")  # float16 needs a GPU
    return cfg


def _narrow(cfg: Config) -> dict[str, Any]:
    model = cfg.model.to_dict()
    if (
        model["backbone"].get("base_channels", 64) < 64
    ):  # a detector and its pre-training, small already
        return model
    if "arch" in model["backbone"]:
        model["backbone"] |= {"arch": VIT, "img_size": model["backbone"].get("img_size", 224)}
        _narrow_transformer(model)
    elif cfg.get("default_scope") == "mmdet":
        model = shrunk_detector(cfg)
    elif model["type"].startswith("mixssl.Mix"):
        model = shrunk(cfg)
        del model["data_preprocessor"]
    else:
        model["backbone"] |= {"base_channels": 4, "stem_channels": 4}
        model["head"]["in_channels"] //= 16
    return model


def _narrow_transformer(node: dict[str, Any]) -> None:
    """Writes the width of a small transformer, and small projectors, wherever a model's parts say theirs."""
    for key, value in node.items():
        if isinstance(value, dict):
            _narrow_transformer(value)
        elif key == "in_channels" and value in (192, 384):
            node[key] = VIT["embed_dims"]
        elif key == "hid_channels":
            node[key] = 16


def _few(loader: Any, images: int, detection: bool) -> None:
    loader.update(num_workers=0, persistent_workers=False)
    loader.batch_size = min(loader.get("batch_size", BATCH), BATCH)
    innermost, part = loader.dataset, False
    while "dataset" in innermost:
        part = part or innermost.type in ("mixssl.ClassBalancedSubset", "mixssl.ListedSubset")
        innermost = innermost.dataset
    if not detection and not part:  # a part of all 240 is few
        innermost.indices = images


def _smaller(node: Any) -> None:
    """Makes images small, wherever a transform says how large they are, in place."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("scale", "crop_size", "img_size") and isinstance(value, int):
                node[key] = PIXELS.get(value, 40 if value == 256 else value)
            elif key == "scale" and value == (1333, 800):
                node[key] = (160, 128)
            elif key == "scales":
                node[key] = [(160, 128)]
            elif key == "mixer" and value and value.get("type") == "mixssl.RegionCL":
                value.update(stride=4, cells=[1, 2])
            else:
                _smaller(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            _smaller(value)


def _shorten(cfg: Config) -> None:
    """Two epochs, or two steps where a config counts those, and a checkpoint after each."""
    by_epoch = "max_epochs" in cfg.train_cfg
    cfg.train_cfg["max_epochs" if by_epoch else "max_iters"] = 2
    if not by_epoch:
        cfg.train_cfg.val_interval = 2
    cfg.default_hooks.checkpoint.update(interval=1, max_keep_ckpts=-1)
    for _, hook in hooks_of(cfg):
        if "num_iters" in hook:
            hook.num_iters = 2


def _noise(path: Path, side: int = 40, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    assert cv2.imwrite(str(path), pixels)


def _rows(number: int) -> Iterator[tuple[int, int]]:
    return ((i, i % 10) for i in range(number))


def _write_backbone(folder: Path) -> None:
    """Writes what ``mixssl pretrain`` hands over, untrained."""
    config = {"type": "ResNet", "depth": 18, "norm_cfg": {"type": "BN"}, "in_channels": 3}
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        state = MODELS.build(config).state_dict()
    folder.mkdir(parents=True)
    write_backbone(Backbone(state, config, [127.5] * 3, [64.0] * 3, 32, 32, None, {}), folder)


def _write_data(root: Path) -> None:
    """Writes every data set that the documents' commands read, in its published form."""
    for name, classes in (("my_images", 0), ("other_images", 0), ("few", 0), ("few_labelled", 2)):
        write_folder(root / name, 24, 40, classes)
    for i in range(24):
        (root / "tiles").mkdir(exist_ok=True)
        bands = noise(i, 40, 40, 5, high=65536)
        tifffile.imwrite(root / f"tiles/{i}.tif", bands, photometric="minisblack")
    for split, number in (("train", 240), ("test", 32)):
        for i, label in _rows(number):
            _noise(root / f"cifar10/{split}/{CIFAR[label]}/{i}.png", 32, i)
    _write_imagenet(root / "imagenet")
    _write_tiny_imagenet(root / "tiny-imagenet-200")
    _write_stl10(root / "stl10/stl10_binary")
    _write_birds(root / "CUB_200_2011")
    _write_aircraft(root / "fgvc-aircraft-2013b/data")
    for year, split in ((2007, "trainval"), (2007, "test"), (2012, "trainval")):
        write_voc(root / "VOCdevkit", year, split, [("dog", 0, (10, 10, 60, 60))])
    for split in ("trainval", "test"):
        write_voc(root / "blood", 2007, split, [("RBC", 0, (10, 10, 60, 60))])
        names = root / f"blood/VOC2007/ImageSets/Main/{split}.txt"
        names.write_text(names.read_text() * (2 * BATCH))
    (root / "blood/VOC2007").rename(root / "bccd")


def _write_imagenet(root: Path) -> None:
    for split, number in (("train", 240), ("val", 32)):
        lines = []
        for i, label in _rows(number):
            _noise(root / f"{split}/n{label:08}/{split}_{i}.JPEG", 40, i)
            lines.append(f"n{label:08}/{split}_{i}.JPEG {label}")
        (root / "meta").mkdir(exist_ok=True)
        (root / f"meta/{split}.txt").write_text("\n".join(lines))
    for share in (1, 10):
        names = [f"train_{i}.JPEG" for i in range(32)]
        (root / f"{share}percent.txt").write_text("\n".join(names))


def _write_tiny_imagenet(root: Path) -> None:
    names = [f"n{label:08}" for label in range(200)]
    lines = []
    for i, name in enumerate(names):
        for j in range(2):
            _noise(root / f"train/{name}/images/{name}_{j}.JPEG", 64, 2 * i + j)
    for i, label in _rows(32):
        _noise(root / f"val/images/val_{i}.JPEG", 64, i)
        lines.append(f"val_{i}.JPEG\t{names[label]}\t0\t0\t62\t62")
    (root / "wnids.txt").write_text("\n".join(names))
    (root / "words.txt").write_text("\n".join(f"{name}\tword" for name in names))
    (root / "val/val_annotations.txt").write_text("\n".join(lines))


def _write_stl10(root: Path) -> None:
    root.mkdir(parents=True)
    noise = np.random.default_rng(0)
    for part, number in (("train", 240), ("test", 32), ("unlabeled", 32)):
        noise.integers(0, 256, (number, 3, 96, 96), np.uint8).tofile(root / f"{part}_X.bin")
        if part != "unlabeled":
            (root / f"{part}_y.bin").write_bytes(bytes(1 + i % 10 for i in range(number)))


def _write_birds(root: Path) -> None:
    for i in range(64):
        _noise(root / f"images/{i}.jpg", 40, i)
    for name, line in (
        ("images", lambda i: f"{i}.jpg"),
        ("image_class_labels", lambda i: 1 + i % len(CUB_CATEGORIES)),
        ("train_test_split", lambda i: i % 2),
    ):
        (root / f"{name}.txt").write_text("".join(f"{i} {line(i)}\n" for i in range(64)))


def _write_aircraft(root: Path) -> None:
    for i in range(64):
        _noise(root / f"images/{i}.jpg", 40, i)
    for part in ("train", "val", "trainval", "test"):
        lines = [f"{i} {FGVCAIRCRAFT_CATEGORIES[i]}\n" for i in range(64)]
        (root / f"images_variant_{part}.txt").write_text("".join(lines))
