"""What a mixture costs: a config's training step against the same config without its mixture.

Both models live in one process and take steps in turns, so that whatever else the machine does hits both. Images are
random: no data set is needed and no loading is measured. The limit is computed from what the step's terms name: an
online embedding costs a forward and a backward pass (3 units an image), a target a forward pass (1 unit). A mixture
that teaches a Mix Block goes through a frozen encoder, forward and back to its pixels (2 units), and the maps that its
mask is made from cost a forward pass, where no target is made of the view anyway.

    python tools/benchmarks/step_cost.py configs/unmix/moco_r18_cifar10.py --batch-size 64
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from mmpretrain.utils import register_all_modules
from rich.console import Console
from rich.table import Table
from torch import nn

import mixssl
from mixssl.models.methods.terms import View, aims_of, mixture_views, scaled
from mixssl.structures import BLOCK, AnyTerm, MixedView

FORWARD, BACKWARD = 1, 2


class Step:
    """A model and its optimizer, ready to take timed training steps on random images."""

    def __init__(self, cfg: Config, batch: int, size: int, device: torch.device, amp: bool) -> None:
        torch.manual_seed(0)
        model_cfg = cfg.model.copy()
        if "data_preprocessor" in cfg:
            model_cfg.setdefault("data_preprocessor", cfg.data_preprocessor)
        self.model = MODELS.build(model_cfg)
        self.model.init_weights()
        self.model.to(device).train()
        wrapper = cfg.optim_wrapper.copy()
        if amp:
            wrapper.update(type="AmpOptimWrapper", dtype="bfloat16")
        self.optimizer = Runner.build_optim_wrapper(_Bare(self.model), wrapper)
        generator = torch.Generator().manual_seed(0)
        count = _clean_views(cfg)
        self.images = [
            torch.randint(0, 256, (batch, 3, size, size), generator=generator, dtype=torch.uint8)
            for _ in range(count)
        ]
        samples = [DataSample(metainfo={"sample_idx": place}) for place in range(batch)]
        self.batch = {"inputs": self.images, "data_samples": samples}
        memory = getattr(self.model, "clusters", None)
        if memory is not None:
            features = torch.randn(memory.features.shape, generator=generator)
            memory.start(features, torch.arange(len(features)) % memory.num_clusters)
        self.device = device

    def __call__(self) -> float:
        """Takes a step and returns its seconds."""
        self._wait()
        start = time.perf_counter()
        self.model.train_step(self.batch, self.optimizer)
        self._wait()
        return time.perf_counter() - start

    def units(self) -> float:
        """Forward and backward passes that a step's terms ask for, in forwards of view 0."""
        data = self.model.data_preprocessor(self.batch, True)
        mixtures = self.model.settle(data.get("mixtures", []), self.batch["data_samples"])
        clean = len(self.images)
        terms = [*self.model.clean_terms(clean)]
        if mixtures:
            terms = scaled(terms, self.model.mix_head.clean_weight)
            terms += self.model.mixture_terms(mixtures, clean)
        terms += self.model.cluster_terms()
        views = [
            *(View(i, x) for i, x in enumerate(self.images)),
            *mixture_views(mixtures, self.images),
        ]
        pixels = {view.number: view.images[:, 0].numel() for view in views}
        for number, mixture in enumerate(mixtures, clean):
            pixels.setdefault(number, pixels[mixture.source])
        units = needed_units(terms, pixels, self.model.targets_are_online, mixtures)
        return units / pixels[0]

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


class _Bare:
    """As much of a runner as building an optimizer takes."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.optim_wrapper = None


def needed_units(
    terms: Sequence[AnyTerm],
    sizes: dict[int, int],
    targets_are_online: bool,
    mixtures: Sequence[MixedView] = (),
) -> int:
    """Passes that a step can't do without, in units of ``sizes``; the layers behind a Mix Block's maps are counted too.

    Args:
        terms: Of the step.
        sizes: What a forward pass of each view costs: its pixels, say.
        targets_are_online: Whether a target comes from the online encoder, with its gradient.
        mixtures: Numbered to the end of ``sizes``; only learned ones make a difference.
    """
    clean = len(sizes) - len(mixtures)
    judged = {n for n, mixture in enumerate(mixtures, clean) if mixture.learned == BLOCK}
    online = {term.online.view for term in terms} - judged
    targets = {key.view for key in aims_of(terms)}
    if targets_are_online:
        online, targets = online | targets, set()
    trained = sum(sizes[view] for view in online) * (FORWARD + BACKWARD)
    mapped = {mixture.source for mixture in mixtures if mixture.learned}
    passed = sum(sizes[view] for view in targets | mapped) * FORWARD
    return trained + passed + sum(sizes[view] for view in judged) * (FORWARD + BACKWARD // 2)


def without_mixture(cfg: Config) -> Config:
    """The same config, its mixer and mix head taken out."""
    plain = Config(cfg.to_dict())
    for holder in (plain, plain.model):
        if "data_preprocessor" in holder:
            holder["data_preprocessor"].pop("mixer", None)
    plain.model.pop("mix_head", None)
    return plain


def _walk(node: Any) -> Iterator[dict]:
    """All dicts inside a config."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from _walk(child)


def _clean_views(cfg: Config) -> int:
    """Views that the config's pipeline makes; 2 if it doesn't say."""
    for step in _walk(cfg.get("train_dataloader", {})):
        if step.get("type") == "MultiView":
            views = step["num_views"]
            return views if isinstance(views, int) else sum(views)
    return 2


def _image_size(cfg: Config) -> int:
    """Side of the images that the config's pipeline makes; 32 if it doesn't say."""
    for step in _walk(cfg.get("train_dataloader", {})):
        if "Crop" in str(step.get("type")) and isinstance(step.get("scale"), int):
            return int(step["scale"])
    return 32


def measure(mixed: Step, plain: Step, pairs: int, warmup: int) -> tuple[list[float], list[float]]:
    """Times both in turns, swapping who goes first, and returns the seconds of each."""
    for _ in range(warmup):
        mixed(), plain()
    ours, base = [], []
    for pair in range(pairs):
        if pair % 2:
            base.append(plain())
            ours.append(mixed())
        else:
            ours.append(mixed())
            base.append(plain())
    return ours, base


def report(name: str, ours: list[float], base: list[float], units: tuple[float, float]) -> dict:
    """Figures of a measurement, as data."""
    ratios = [a / b for a, b in zip(ours, base, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return {
        "config": name,
        "ratio": round(middle, 4),
        "quartiles": [round(low, 4), round(high, 4)],
        "ratio_of_medians": round(statistics.median(ours) / statistics.median(base), 4),
        "limit": round(units[0] / units[1], 4),
        "units": [round(unit, 4) for unit in units],
        "step_ms": round(1e3 * statistics.median(ours), 1),
        "step_ms_without": round(1e3 * statistics.median(base), 1),
        "pairs": len(ratios),
    }


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config", help="a config with a mixture")
    parser.add_argument("--batch-size", type=int, help="images per step; the config's unless given")
    parser.add_argument(
        "--size", type=int, help="side of the images in pixels; the config's crop unless given"
    )
    parser.add_argument(
        "--pairs", type=int, default=10, help="steps of each, in turns (default 10)"
    )
    parser.add_argument("--warmup", type=int, default=2, help="steps of each before (default 2)")
    parser.add_argument("--threads", type=int, help="CPU threads; torch's default unless given")
    parser.add_argument("--amp", action="store_true", help="bfloat16 autocast")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, help="override config values, KEY=VALUE"
    )
    args = parser.parse_args()
    if args.pairs < 2:
        parser.error(f"--pairs is {args.pairs} and must be >= 2: a spread needs two ratios")
    return args


def main() -> None:
    """Measures one config and prints a table."""
    args = _parse()
    register_all_modules(init_default_scope=False)
    DefaultScope.get_instance("mixssl", scope_name="mmpretrain")
    MMLogger.get_current_instance().setLevel("ERROR")
    # Cosine schedules of momentum encoders read the run's length from here.
    MessageHub.get_current_instance().update_info("max_iters", 100_000)
    if args.threads:
        torch.set_num_threads(args.threads)
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    batch = args.batch_size or cfg.train_dataloader.batch_size
    size = args.size or _image_size(cfg)
    device = torch.device(args.device)

    mixed = Step(cfg, batch, size, device, args.amp)
    if mixed.model.mixer is None:
        raise SystemExit(
            f"{args.config} has no mixer, so there is nothing to compare: choose a config with one"
        )
    plain = Step(without_mixture(cfg), batch, size, device, args.amp)
    units = (mixed.units(), plain.units())
    ours, base = measure(mixed, plain, args.pairs, args.warmup)
    figures = report(args.config, ours, base, units) | {
        "batch_size": batch,
        "size": size,
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "mixssl": mixssl.__version__,
    }
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    _show(figures)


def _show(figures: dict) -> None:
    table = Table(
        title=f"{figures['config']}, {figures['batch_size']} images of {figures['size']} pixels"
    )
    for column in ("", "with mixture", "without", "ratio", "middle half of the ratios"):
        table.add_column(column, justify="left" if not column else "right")
    ms, plain_ms = figures["step_ms"], figures["step_ms_without"]
    low, high = figures["quartiles"]
    table.add_row(
        f"step, ms (median of {figures['pairs']})",
        f"{ms:.0f}",
        f"{plain_ms:.0f}",
        f"{figures['ratio']:.3f}",
        f"{low:.3f} to {high:.3f}",
    )
    ours, base = figures["units"]
    table.add_row("passes needed, units", f"{ours:g}", f"{base:g}", f"{figures['limit']:.3f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
