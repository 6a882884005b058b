#!/usr/bin/env python
"""Pre-trains on digits with and without Un-Mix, fine-tunes a detector from both and from random weights, compares AP.

It needs make det, and no data, GPU or network: python tools/demo_det.py [--trials N] [--seed S] [--out DIR].
"""

import argparse
import contextlib
import io
import statistics
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.console import Console

from mixssl.cli.demo import report, short_run, train, use_one_thread
from mixssl.cli.scores import Score
from mixssl.cli.tool import run_tool
from mixssl.engine.atomic_writes import write_atomically
from mixssl.registry import DATASETS
from mixssl.transfer import extract, read_checkpoint
from mixssl.transfer.check import check_transfer, detector_tensors
from mixssl.transfer.extraction import file_content, file_name
from mixssl.utils.detection import require_detection
from mixssl.utils.errors import require_at_least
from mixssl.visualization.detections import Found, annotated, detected, detection_figure
from mixssl.visualization.style import save_figure

ROOT = Path(__file__).resolve().parents[1]
DETECTOR = ROOT / "configs/benchmarks/detection/mask_rcnn_r18_fpn_digits.py"
PRETRAINING = {
    "MoCo v2": ROOT / "configs/demo/mocov2_r18_digits48.py",
    "MoCo v2 + Un-Mix": ROOT / "configs/demo/unmix_mocov2_r18_digits48.py",
}
RANDOM = "random"
METRICS = {
    "box AP": "bbox_mAP",
    "box AP50": "bbox_mAP_50",
    "mask AP": "segm_mAP",
    "mask AP50": "segm_mAP_50",
}
RECIPE = (
    "model",
    "data_preprocessor",
    "train_dataloader",
    "optim_wrapper",
    "param_scheduler",
    "train_cfg",
    "randomness",
)
"""Parts of a config that make a checkpoint what it is."""
DRAWN = 4
"""Scenes in the picture."""


class Trial(NamedTuple):
    """A detector after training: its metrics in percent, the seconds it took, and what it finds in the first scenes."""

    metrics: dict[str, float]
    seconds: float
    found: list[Found]


def parse_args() -> argparse.Namespace:
    """Length, seeds, output."""
    parser = argparse.ArgumentParser(
        description="Compare AP on scenes of digits from random, MoCo v2's and Un-Mix's weights."
    )
    parser.add_argument("--trials", type=int, default=1, help="of each detector, default 1")
    parser.add_argument("--seed", type=int, default=0, help="the first one, default 0")
    parser.add_argument("--epochs", type=int, help="of pre-training, default as the configs say")
    parser.add_argument("--iterations", type=int, help="of detectors, default as the config says")
    parser.add_argument("--fresh", action="store_true", help="pre-train even if that has been done")
    parser.add_argument(
        "--out", type=Path, default=Path("work_dirs/demo_det"), help="default work_dirs/demo_det"
    )
    args = parser.parse_args()
    require_at_least(1, "--", trials=args.trials, epochs=args.epochs, iterations=args.iterations)
    return args


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps pycocotools' tables and mmdet's advice, of which none concerns this, from the terminal."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def pretrain(cfg: Config, console: Console, fresh: bool) -> Path:
    """The checkpoint of a pre-training, which is run unless the same one lies there already."""
    folder = Path(cfg.work_dir)
    noted = folder / "recipe.txt"
    recipe = "\n".join(f"{part} = {cfg.get(part)}" for part in RECIPE)
    last = folder / "last_checkpoint"
    if not fresh and noted.is_file() and noted.read_text() == recipe and last.is_file():
        console.print(f"  there is one already: {last.read_text()}", soft_wrap=True)
    else:
        with quiet():
            train(cfg, console)
        write_atomically(recipe.encode(), noted)
    return Path(last.read_text().strip())


def backbone_of(path: Path, console: Console) -> Path:
    """Takes the backbone out of a checkpoint and proves that the detector computes the same with it."""
    checkpoint = read_checkpoint(path)
    with quiet():
        extraction = extract(checkpoint, detector_tensors(DETECTOR))
        content = file_content(extraction, checkpoint, "mmdet")
        file = path.parent / file_name(checkpoint, "mmdet", "online", content)
        write_atomically(content, file)
        lines = check_transfer(checkpoint, "online", DETECTOR, file)
    for line in (extraction.report(), lines[-1]):
        console.print(f"  {line}", highlight=False)
    return file


def detect(runner: Runner, number: int) -> list[Found]:
    """What a trained detector finds in the first scenes."""
    loader = runner.val_dataloader
    scenes = [loader.dataset[i] for i in range(number)]
    batch = {key: [scene[key] for scene in scenes] for key in scenes[0]}
    with torch.no_grad():
        samples = runner.model.eval().test_step(batch)
    return [detected(sample) for sample in samples]


def fine_tune(cfg: Config, start: str | Path, console: Console) -> Trial:
    """Trains a detector from a backbone, measures it, and looks at the first scenes."""
    began = time.perf_counter()
    cfg.model.init_cfg.checkpoint = str(start)
    with quiet():
        runner = train(cfg, console)
    scalars = runner.message_hub.log_scalars
    # A detector that finds nothing at all has no entry.
    metrics = {
        heading: 100 * float(scalars[f"val/coco/{key}"].current())
        if f"val/coco/{key}" in scalars
        else 0.0
        for heading, key in METRICS.items()
    }
    return Trial(metrics, time.perf_counter() - began, detect(runner, DRAWN))


def run(args: argparse.Namespace, console: Console) -> dict[str, list[Trial]]:
    """Pre-trains, extracts, fine-tunes; trials by what they started from."""
    starts: dict[str, str | Path] = {RANDOM: RANDOM}
    for name, path in PRETRAINING.items():
        console.print(f"[bold]{name}: pre-training and extraction[/bold]")
        cfg = short_run(path, args.out / path.stem, args.epochs, args.seed)
        starts[name] = backbone_of(pretrain(cfg, console, args.fresh), console)
    trials: dict[str, list[Trial]] = {name: [] for name in starts}
    for seed in range(args.seed, args.seed + args.trials):
        for name, start in starts.items():
            console.print(f"[bold]detector from {name}, seed {seed}[/bold]")
            folder = args.out / "detectors" / f"{name.replace(' ', '_')}_seed{seed}"
            cfg = short_run(DETECTOR, folder, args.iterations, seed)
            trials[name].append(fine_tune(cfg, start, console))
            box = trials[name][-1].metrics["box AP"]
            console.print(f"  box AP {box:.1f}, {trials[name][-1].seconds:.0f} seconds")
    return trials


def cells_of(trials: list[Trial]) -> dict[str, str]:
    """A row of the table: means, with the sample standard deviation where there are several trials."""
    cells = {
        heading: Score(dict(enumerate(trial.metrics[heading] for trial in trials))).text(1)
        for heading in METRICS
    }
    return {**cells, "seconds": f"{statistics.mean(trial.seconds for trial in trials):.0f}"}


def draw(trials: dict[str, list[Trial]], cfg: Config, path: Path) -> Path:
    """A picture of the first scenes: what is there, and what each start's first detector finds."""
    scenes = DATASETS.build({**cfg.val_dataloader.dataset, "pipeline": []})
    raw = [scenes[i] for i in range(DRAWN)]
    figure = detection_figure(
        [scene["img"] for scene in raw],
        {
            "what is there": [annotated(scene["instances"]) for scene in raw],
            **{f"from {name}": rows[0].found for name, rows in trials.items()},
        },
        scenes.metainfo["classes"],
        title="Handwritten digits to detect: what detectors find after the same training",
    )
    return save_figure(figure, path)


def figures_of(trial: Trial) -> dict[str, float]:
    """What the summary says of a trial."""
    metrics = {key: round(value, 2) for key, value in trial.metrics.items()}
    return {**metrics, "seconds": round(trial.seconds, 1)}


def main() -> None:
    """Runs everything; prints the table and where everything lies."""
    args = parse_args()
    require_detection()
    use_one_thread()
    console = Console(file=sys.stdout)
    start = time.perf_counter()
    trials = run(args, console)
    cfg = short_run(DETECTOR, args.out, args.iterations, args.seed)
    seeds = list(range(args.seed, args.seed + args.trials))
    pictures = {"picture": draw(trials, cfg, args.out / "detections.png")}
    data = cfg.train_dataloader.dataset, cfg.val_dataloader.dataset
    report(
        console,
        f"Mask R-CNN on scenes of digits, {cfg.train_cfg.max_iters} iterations, seed{'s' if len(seeds) > 1 else ''} "
        f"{', '.join(map(str, seeds))}",
        {name: cells_of(rows) for name, rows in trials.items()},
        f"AP in percent, mean over IoU .5:.95, COCO's way, on {data[1].num_scenes} scenes of digits that neither "
        f"pre-training nor the {data[0].num_scenes} scenes trained on have shown. Seconds: training and evaluation of "
        f"a detector; {time.perf_counter() - start:.0f} in all.",
        pictures,
        args.out,
        seeds=seeds,
        results={name: [figures_of(trial) for trial in rows] for name, rows in trials.items()},
    )


if __name__ == "__main__":
    sys.exit(run_tool(main, "demo_det.py"))
