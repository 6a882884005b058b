#!/usr/bin/env python
"""Draws the pictures of docs/en/mixtures from digits: python docs/pictures.py [--out DIR].

The digits come with scikit-learn: no data and no GPU are needed. The same pictures come out every time.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner, set_random_seed
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import Mixer
from mixssl.models.heads.mochi_head import MoCHiDraw, synthesize
from mixssl.registry import MIXERS, MODELS
from mixssl.structures import MixedView
from mixssl.visualization import mixture_figure, save_figure
from mixssl.visualization.style import COLOURS, new_figure, pixels

Norm = tuple[list[float], list[float]]
"""Mean and standard deviation per channel."""
ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "configs/demo/mocov2_r18_digits.py"
POLICIES: dict[str, dict] = {
    "MixUp": {},
    "CutMix": {},
    "ResizeMix": {},
    "FMix": {},
    "SaliencyMix": {},
    "PuzzleMix": {"blocks": (8,)},
}
POLICY_ROWS, POLICY_SEED = (0, 5, 6), 192
ARC = math.radians(40), math.radians(330)
"""Where on the circle the keys of MoCHi's picture lie."""


def digits(count: int = 2) -> tuple[list[Tensor], list[float], list[float]]:
    """Clean views of a batch of digits, normalised, with the mean and the standard deviation used."""
    cfg = Config.fromfile(CONFIG)
    next(step for step in cfg.train_pipeline if step.type == "MultiView").num_views = count
    cfg.train_dataloader.dataset.pipeline = cfg.train_pipeline
    init_default_scope(cfg.default_scope)
    set_random_seed(0)
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    norm = cfg.data_preprocessor
    return MODELS.build(norm)(batch, True)["inputs"], norm.mean, norm.std


def mix(views: Sequence[Tensor], seed: int, name: str, **settings: object) -> list[MixedView]:
    """What a mixer makes of the views under a seed."""
    mixer = MIXERS.build({"type": f"mixssl.{name}", **settings})
    assert isinstance(mixer, Mixer)
    return mixer(views, torch.Generator().manual_seed(seed))


def unmix(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Global mixtures on the left, regions on the right."""
    shown = [
        *mix(views, 5, "UnMix", p_global=1.0),
        *mix(views, 3, "UnMix", p_global=0.0),
        *mix(views, 9, "UnMix", p_global=1.0),
        *mix(views, 8, "UnMix", p_global=0.0),
    ]
    return mixture_figure(views, shown, *norm, title="Un-Mix: global (left) and region (right)")


def mixco(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Four pairs of one batch, each with its own λ."""
    shown = mix(views, 6, "MixCo") * 4
    return mixture_figure(views, shown, *norm, title="MixCo: a λ for each pair of a batch")


def local_global(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Both approaches, both mixtures of an image."""
    shown = [*mix(views, 4, "IntraCutMix"), *mix(views, 10, "InterCutMix")]
    title = "Top: approach 1, the image's other view in the box. Bottom: approach 2, another image."
    return mixture_figure(views, shown, *norm, rows=[5, 5, 1, 1], title=title)


def imix(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Blends on the left, boxes on the right."""
    blends, boxes = mix(views, 3, "IMix"), mix(views, 9, "ICutMix")
    shown = [*blends, *boxes, *blends, *boxes]
    title = "i-Mix: the own image always weighs at least one half"
    return mixture_figure(views, shown, *norm, rows=[2, 2, 6, 6], title=title)


def scalemix(views: Sequence[Tensor], norm: Norm) -> Figure:
    """ScaleMix on the left, CropMix's blends on the right."""
    boxes, blends = mix(views, 1, "ScaleMix"), mix(views, 2, "CropMix", kind="mixup")
    shown = [*boxes, *blends, *boxes, *blends]
    title = "ScaleMix (left), CropMix's blends (right): two crops of one image"
    return mixture_figure(views, shown, *norm, rows=[0, 0, 6, 6], title=title)


def several(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Un-Mix beside MixMask, and beside ScaleMix."""
    unmix = {"type": "mixssl.UnMix", "p_global": 0.0}
    mask = {"type": "mixssl.MixMask", "shuffle": True}
    shown = [
        *mix(views[:2], 8, "Stack", mixers=[unmix, mask]),
        *mix(views, 8, "Stack", mixers=[unmix, {"type": "mixssl.ScaleMix"}]),
    ]
    title = "Two mixtures of a step: Un-Mix (left) beside MixMask (top) and beside ScaleMix"
    return mixture_figure(views, shown, *norm, rows=[3, 3, 3, 3], title=title)


def blended_targets(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Four digits of view 0, with partners of view 1."""
    shown = [mixed for seed in range(4, 8) for mixed in mix(views, seed, "MixUp", partner_view=1)]
    title = "Mixed Barlow Twins: partners come from the other view, a λ for the batch"
    return mixture_figure(views, shown, *norm, title=title)


def regioncl(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Boxes of whole cells, four pixels a side."""
    shown = [m for seed in range(4) for m in mix(views, seed, "RegionCL", stride=4, cells=(2, 3))]
    title = "RegionCL: a box of whole cells, here four by four pixels, of the reversed batch"
    return mixture_figure(views, shown, *norm, title=title)


def overlap(views: Sequence[Tensor], norm: Norm) -> Figure:
    """PatchMix on top, SDMP's small pictures below; the mixtures of both views."""
    shown = [*mix(views, 1, "PatchMix", patch=4), *mix(views, 5, "SDMP", kinds=("resizemix",))]
    title = "PatchMix above, SDMP below; left view 0, right view 1: the same partners and λ"
    return mixture_figure(views, shown, *norm, rows=[1, 1, 2, 2], title=title)


def mixmask(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Masks in blocks on the left, cell by cell on the right."""
    shown = [
        *mix(views, 1, "MixMask"),
        *mix(views, 2, "MixMask", kind="discrete"),
        *mix(views, 3, "MixMask", grid=4),
        *mix(views, 6, "MixMask", kind="discrete", grid=4),
    ]
    title = "MixMask: in blocks (left), cell by cell (right); grids of 8 (top) and 4"
    return mixture_figure(views, shown, *norm, title=title)


def distill(views: Sequence[Tensor], norm: Norm) -> Figure:
    """Blends on the left, boxes on the right, both of one λ for the batch."""
    blends, boxes = mix(views, 3, "MixUp"), mix(views, 9, "CutMix")
    shown = [*blends, *boxes, *blends, *boxes]
    title = "What student and teacher both see: MixUp (left), CutMix (right)"
    return mixture_figure(views, shown, *norm, rows=[1, 1, 4, 4], title=title)


def policies(views: Sequence[Tensor], norm: Norm) -> Figure:
    """The same pairs, and but for ResizeMix the same λ aimed at, under every policy."""
    figure = new_figure(
        1.55 * len(POLICY_ROWS) + 0.8, "Predefined policies: the same images, partners and seed"
    )
    axes = figure.subplots(len(POLICY_ROWS), 2 + len(POLICIES), squeeze=False)

    def show(axis: Axes, image: Tensor, caption: str) -> None:
        axis.imshow(pixels(image, *norm).numpy(), interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.set_xlabel(caption, fontsize=12)

    for column, (name, settings) in enumerate(POLICIES.items(), start=2):
        (mixture,) = mix(views, POLICY_SEED, name, **settings)
        assert mixture.images is not None
        axes[0, column].set_title(name, fontsize=12, fontweight="bold")
        for line, row in enumerate(POLICY_ROWS):
            show(axes[line, column], mixture.images[row], f"λ = {mixture.lam[row]:.2f}")
            if column == 2:
                show(axes[line, 0], views[0][row], "")
                show(axes[line, 1], views[0][mixture.partner[row]], "")
    axes[0, 0].set_title("own image", fontsize=12)
    axes[0, 1].set_title("partner", fontsize=12)
    return figure


def mochi() -> Figure:
    """Embeddings on a circle: a query, the keys of a queue, and what MoCHi makes of the hardest."""
    hard, pairs, with_query = 6, 5, 4
    generator = torch.Generator().manual_seed(4)
    angles = torch.linspace(*ARC, 24)
    query = torch.tensor([[1.0, 0.0]])
    queue = torch.stack([angles.cos(), angles.sin()])
    ranks = torch.argsort(query @ queue, descending=True)[:, :hard]
    draw = MoCHiDraw(
        first=torch.randint(hard, (1, pairs), generator=generator),
        second=torch.randint(hard, (1, pairs), generator=generator),
        alpha=torch.rand(1, pairs, generator=generator),
        single=torch.arange(with_query)[None],
        beta=torch.rand(1, with_query, generator=generator) / 2,
    )
    made = F.normalize(synthesize(query, queue, ranks, draw)[0], dim=1)
    figure = new_figure(6.4, "MoCHi: negatives mixed from the hardest keys of the queue")
    axis = figure.subplots()
    circle = torch.linspace(0, 2 * math.pi, 400)
    axis.plot(circle.cos(), circle.sin(), color="#cccccc", zorder=0)
    hardest = queue[:, ranks[0]]
    for points, label, colour, marker, radius in (
        (queue, "keys of the queue", COLOURS[8], "o", 1.0),
        (hardest, f"the {hard} hardest of them", COLOURS[0], "o", 1.0),
        (made[:pairs].t(), "mixed from two of those", COLOURS[1], "^", 1.1),
        (made[pairs:].t(), "mixed from one and the query", COLOURS[2], "s", 1.2),
        (query.t(), "query", COLOURS[6], "*", 1.0),
    ):
        x, y = (radius * points).numpy()
        axis.scatter(x, y, label=label, color=colour, marker=marker, s=90 if marker != "*" else 260)
    axis.set_aspect("equal")
    axis.set_axis_off()
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=13, frameon=False)
    return figure


def main() -> None:
    """Draws them all and says where they are."""
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/en/mixtures.")
    parser.add_argument("--out", default=str(ROOT / "docs/assets"), help="folder to write to")
    out = Path(parser.parse_args().out)
    views, mean, std = digits()
    three, _, _ = digits(3)
    for draw in (
        unmix,
        mixco,
        local_global,
        imix,
        mixmask,
        overlap,
        policies,
        scalemix,
        several,
        distill,
        blended_targets,
        regioncl,
    ):
        given = three if draw in (scalemix, several) else views
        print(save_figure(draw(given, (mean, std)), out / f"mixtures_{draw.__name__}.png"))
    print(save_figure(mochi(), out / "mixtures_mochi.png"))


if __name__ == "__main__":
    main()
