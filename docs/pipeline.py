"""Images per second that a config's views can be made with: by data workers' transforms, and on the device.

Ways take turns on the same images, so that whatever else the machine does hits all of them. Per-image transforms run
in this process, as one data worker would run them, and so does collating. On a GPU run kornia, torchvision v2 and ours.

    OMP_NUM_THREADS=1 python docs/pipeline.py configs/unmix/moco_r18_cifar10.py --size 32
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, default_collate
from mmengine.registry import DefaultScope
from mmpretrain.utils import register_all_modules
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torchvision import transforms as T
from torchvision.transforms import v2

import mixssl
from mixssl.augmentation import Views

Way = Callable[[], Any]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
GIVEN_UP = {"backend", "keep_channels", "channel_weights"}
"""Arguments that torchvision and kornia have no choice about."""


def per_image(views: Mapping[str, Any], images: Tensor) -> Way:
    """mmpretrain's transforms, packing and collating."""
    steps = [{"type": "MultiView", **views}, {"type": "PackInputs"}]
    pipeline = Compose(steps)
    arrays = list(images.flip(1).permute(0, 2, 3, 1).contiguous().numpy())
    return lambda: default_collate([pipeline({"img": array.copy()}) for array in arrays])


def torchvision(views: Mapping[str, Any], images: Tensor) -> Way:
    """The same steps by torchvision on PIL images, as the authors' codes have them."""
    chains = [
        T.Compose([*map(_torchvision_step, steps), T.PILToTensor()]) for steps in _chains(views)
    ]
    pictures = [T.functional.to_pil_image(image) for image in images]
    return lambda: [torch.stack([chain(picture) for picture in pictures]) for chain in chains]


def torchvision_v2(views: Mapping[str, Any], images: Tensor) -> Way:
    """The same steps by torchvision's second set on tensors of the device, image by image: it draws once a call."""
    chains = [v2.Compose([_torchvision_step(s, v2) for s in steps]) for steps in _chains(views)]
    batch = images.to(DEVICE)
    return lambda: [torch.stack([chain(image) for image in batch]) for chain in chains]


def kornia(views: Mapping[str, Any], images: Tensor) -> Way:
    """The same steps by kornia, whole batches."""
    from kornia import augmentation as K

    chains = [
        nn.Sequential(*(_kornia_step(K, step) for step in steps)).to(DEVICE)
        for steps in _chains(views)
    ]
    batch = images.to(DEVICE)
    return torch.no_grad()(lambda: [chain(batch.float() / 255) for chain in chains])


def ours(views: Mapping[str, Any], images: Tensor) -> Way:
    """The same steps by mixssl, whole batches."""
    made, batch = Views(**views, seed=0).to(DEVICE), images.to(DEVICE)
    return lambda: made(batch)


def _chains(views: Mapping[str, Any]) -> list[list]:
    """One pipeline per view."""
    counts = views["num_views"]
    counts = [counts] if isinstance(counts, int) else counts
    return [
        steps
        for steps, count in zip(views["transforms"], counts, strict=True)
        for _ in range(count)
    ]


def _torchvision_step(step: Mapping[str, Any], T: Any = T) -> Any:
    """A step of mmpretrain's vocabulary in torchvision's, of its first or second set."""
    kind, given = step["type"], {k: v for k, v in step.items() if k not in GIVEN_UP | {"type"}}
    if kind == "RandomApply":
        return T.RandomApply(
            [_torchvision_step(inner, T) for inner in given["transforms"]], given["prob"]
        )
    if kind == "RandomResizedCrop":
        mode = T.InterpolationMode(given.get("interpolation", "bilinear"))
        area = given.get("crop_ratio_range", (0.08, 1.0))
        return T.RandomResizedCrop(given["scale"], area, interpolation=mode)
    if kind == "GaussianBlur":
        blur = T.GaussianBlur(23, tuple(given["magnitude_range"]))
        return T.RandomApply([blur], given["prob"])
    simple: dict[str, Callable] = {
        "RandomFlip": lambda: T.RandomHorizontalFlip(given["prob"]),
        "ColorJitter": lambda: T.ColorJitter(**given),
        "RandomGrayscale": lambda: T.RandomGrayscale(given["prob"]),
        "Solarize": lambda: T.RandomSolarize(given["thr"], given["prob"]),
    }
    return simple[kind]()


def _kornia_step(K: Any, step: Mapping[str, Any]) -> Any:
    """A step of mmpretrain's vocabulary in kornia's, each image by its own draws."""
    kind, given = step["type"], {k: v for k, v in step.items() if k not in GIVEN_UP | {"type"}}
    if kind == "RandomApply":
        (inner,) = given["transforms"]
        rest = {k: v for k, v in inner.items() if k not in GIVEN_UP | {"type"}}
        return K.ColorJitter(**rest, p=given["prob"])
    if kind == "RandomResizedCrop":
        size, mode = (given["scale"],) * 2, given.get("interpolation", "bilinear").upper()
        area = given.get("crop_ratio_range", (0.08, 1.0))
        return K.RandomResizedCrop(size, area, resample=mode, cropping_mode="resample")
    simple: dict[str, Callable] = {
        "RandomFlip": lambda: K.RandomHorizontalFlip(p=given["prob"]),
        "RandomGrayscale": lambda: K.RandomGrayscale(p=given["prob"]),
        "GaussianBlur": lambda: K.RandomGaussianBlur(
            (23, 23), tuple(given["magnitude_range"]), p=given["prob"]
        ),
        "Solarize": lambda: K.RandomSolarize(given["thr"] / 255, p=given["prob"]),
    }
    return simple[kind]()


def measure(ways: Mapping[str, Way], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round, the ways taking turns at going first."""
    names = list(ways)
    for way in ways.values():
        way()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for i in range(rounds):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            _wait()
            start = time.perf_counter()
            ways[name]()
            _wait()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def _wait() -> None:
    if DEVICE.type == "cuda":
        torch.cuda.synchronize(DEVICE)


def report(seconds: Mapping[str, list[float]], images: int, base: str) -> dict[str, Any]:
    """Images per second and ratios to ``base``, with their middle halves."""
    figures = {}
    for name, spent in seconds.items():
        rates = [images / second for second in spent]
        ratios = [b / a for a, b in zip(spent, seconds[base], strict=True)]
        figures[name] = {"images_per_second": _middle(rates, 0), "ratio": _middle(ratios, 2)}
    return figures


def _middle(values: list[float], digits: int) -> dict[str, Any]:
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(median, digits), "quartiles": [round(low, digits), round(high, digits)]}


def multi_view(cfg: Config) -> dict[str, Any]:
    """Arguments of the config's MultiView."""
    for step in cfg.train_dataloader.dataset.pipeline:
        if step["type"].endswith("MultiView"):
            return {key: step.to_dict()[key] for key in ("num_views", "transforms")}
    raise SystemExit("the config's training pipeline has no MultiView to measure")


def smooth_images(number: int, size: int) -> Tensor:
    """Random uint8 images, (N, 3, size, size), without the noise that no camera sees."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(number, 3, 8, 8, generator=generator) * 255
    images = nn.functional.interpolate(coarse, (size, size), mode="bicubic")
    return images.clamp(0, 255).round().byte()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="a config whose training pipeline has a MultiView")
    parser.add_argument("--size", type=int, default=32, help="side of the images (default 32)")
    parser.add_argument("--batch-size", type=int, default=256, help="images a round (default 256)")
    parser.add_argument("--rounds", type=int, default=10, help="of each way (default 10)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    if args.rounds < 2:
        parser.error(f"--rounds is {args.rounds} and must be >= 2: a spread needs two")
    return args


def main() -> None:
    """Measures one config's views and prints a table."""
    args = _parse()
    register_all_modules(init_default_scope=False)
    DefaultScope.get_instance("mixssl", scope_name="mmpretrain")
    torch.set_num_threads(args.threads)
    views = multi_view(Config.fromfile(args.config))
    images = smooth_images(args.batch_size, args.size)
    makers = {
        "mmpretrain": per_image,
        "torchvision": torchvision,
        "torchvision v2": torchvision_v2,
        "mixssl": ours,
    }
    if importlib.util.find_spec("kornia"):
        makers["kornia"] = kornia
    else:
        print("kornia is not installed, and left out")
    ways = {name: maker(views, images) for name, maker in makers.items()}
    figures = {
        "config": args.config,
        "size": args.size,
        "batch_size": args.batch_size,
        "rounds": args.rounds,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else platform.machine(),
        "torch": torch.__version__,
        "mixssl": mixssl.__version__,
        "ways": report(measure(ways, args.rounds), args.batch_size, "mmpretrain"),
    }
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    _show(figures)


def _show(figures: dict[str, Any]) -> None:
    table = Table(
        title=f"All views of an image of {figures['size']} pixels, {figures['threads']} thread(s), {figures['device']}"
    )
    for column in ("", "images/s", "middle half", "to mmpretrain", "middle half"):
        table.add_column(column, justify="right" if column else "left")
    for name, figure in figures["ways"].items():
        rate, ratio = figure["images_per_second"], figure["ratio"]
        table.add_row(
            name,
            f"{rate['median']:,.0f}",
            "{:,.0f} to {:,.0f}".format(*rate["quartiles"]),
            f"{ratio['median']:.2f}",
            "{:.2f} to {:.2f}".format(*ratio["quartiles"]),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
