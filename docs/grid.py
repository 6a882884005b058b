#!/usr/bin/env python
"""Writes down which method carries which mixture: python docs/grid.py writes docs/en/grid.md.

The methods are those registered, what each can carry is read off its class, and what a recipe asks for is read off its
mixer and its head. The test suite trains every pair with a check mark and asks every other one for its refusal.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, NamedTuple

from mixssl.mixing import Mixer
from mixssl.models.heads import MixHead
from mixssl.models.methods import MixtureMethod
from mixssl.registry import MIXERS, MODELS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/en/grid.md"
SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"

CLUSTERS, SCALES, TEACHER, BANK = "clusters", "scales", "teacher", "hard negatives"

REASONS = {
    "rows": "draws a λ per image, and this method's loss is one of the whole batch: it needs one λ per batch.",
    "candidates": "is told apart from other images, and this method has no negatives to tell it apart from.",
    "regions": "compares regions of feature maps, for which this method's adapter has no neck.",
    CLUSTERS: "is made or judged by clusters of embeddings, in whose place this method has prototypes.",
    SCALES: "needs a bank per input size; only MoCo's adapter has them.",
    TEACHER: "is compared with itself, which teaches something only where the target comes from a frozen teacher.",
    BANK: "makes negatives from a MoCo queue. It mixes no pixels, and any mixture may run beside it.",
    "cells": "compares regions of the last map by the method's own neck, which this method's adapter does not pool.",
    "blends": "is compared with a mean of embeddings, which this method's loss does not take for a target.",
}
"""Why a pair is refused, by what the method lacks."""


class Recipe(NamedTuple):
    """A mixer and a head that belong together.

    Attributes:
        name: As in the table.
        page: Of ``docs/en/mixtures``, without its ending.
        mixer: Config; None where no pixels are mixed.
        head: Config; None where there is no mixer.
        model: Further settings of the model, with the sizes that a real one would have.
        widths: Of the views that the pipeline must give, relative to the first.
    """

    name: str
    page: str
    mixer: dict | None
    head: dict | None
    model: dict = {}  # noqa: RUF012  (never modified)
    widths: tuple[float, ...] = (1.0, 1.0)


def _mixer(name: str, **settings: Any) -> dict:
    return {"type": f"mixssl.{name}", **settings}


def _head(name: str, **settings: Any) -> dict:
    return {"type": f"mixssl.{name}", **settings}


UNMIX = _mixer("UnMix", p_global=0.5)
CROSS = _head("UnMixHead")
ONE_IMAGE = _head("ScaleMixHead")
SEEN_BY_BOTH = _head("DistillHead")
MIX_BLOCK = _head("MixBlockPlus", in_channels=256)
ODC = _head("ODC", num_images=100000)
MOCHI = _head("MoCHiHead", hardest=16, pairs=8, with_query=4, warmup_epochs=0.0)


def _stack(*pairs: tuple[dict, dict]) -> tuple[dict, dict]:
    """Several mixers, each with its head."""
    mixers, heads = zip(*pairs, strict=True)
    return _mixer("Stack", mixers=list(mixers)), _head("StackHead", heads=list(heads))


RECIPES = (
    Recipe("Un-Mix", "unmix", UNMIX, CROSS),
    Recipe("Un-Mix, as on CIFAR", "unmix", UNMIX, _head("UnMixHead", pairing="all")),
    Recipe("Un-Mix, Algorithm 1", "unmix", UNMIX, _head("UnMixHead", pairing="mutual")),
    Recipe(
        "Un-Mix, both branches",
        "unmix",
        UNMIX | {"views": (0, 1)},
        _head("UnMixHead", pairing="mixed"),
    ),
    Recipe(
        "Un-Mix, multi-scale",
        "unmix",
        _mixer("MultiScale", mixer=UNMIX, scales=2),
        _head("MultiScaleHead", head=CROSS),
        {"extra_sizes": (12,)},
        (1.0, 1.0, 1.5, 1.5),
    ),
    Recipe("MixCo", "mixco", _mixer("MixCo"), _head("MixCoHead")),
    Recipe("MixCo, both views", "mixco", _mixer("MixCo", views=(0, 1)), _head("MixCoHead")),
    Recipe("MixCo's loss on Un-Mix's mixtures", "mixco", UNMIX, _head("MixCoHead")),
    Recipe("Un-Mix's loss on MixCo's mixtures", "mixco", _mixer("MixCo"), CROSS),
    Recipe(
        "local/global CutMix 1",
        "local_global",
        _mixer("IntraCutMix"),
        _head("IntraLocalGlobalHead"),
    ),
    Recipe(
        "local/global CutMix 2",
        "local_global",
        _mixer("InterCutMix"),
        _head("InterLocalGlobalHead"),
    ),
    Recipe(
        "CutMix of both views, no regions",
        "local_global",
        _mixer("InterCutMix"),
        _head("InterLocalGlobalHead", global_global=0.0, local_local=0.0),
    ),
    Recipe("MixUp", "policies", _mixer("MixUp"), CROSS),
    Recipe("MixUp, a λ per image", "policies", _mixer("MixUp", per_sample=True), CROSS),
    Recipe("CutMix", "policies", _mixer("CutMix"), CROSS),
    Recipe("ManifoldMix", "policies", _mixer("ManifoldMix"), CROSS),
    Recipe("ResizeMix", "policies", _mixer("ResizeMix"), CROSS),
    Recipe("FMix", "policies", _mixer("FMix"), CROSS),
    Recipe("SaliencyMix", "policies", _mixer("SaliencyMix"), CROSS),
    Recipe("PuzzleMix", "policies", _mixer("PuzzleMix", blocks=(2, 4)), CROSS),
    Recipe("i-Mix, N-pair", "imix", _mixer("IMix"), _head("IMixHead")),
    Recipe("i-Mix, N-pair, CutMix", "imix", _mixer("ICutMix"), _head("IMixHead")),
    Recipe("i-Mix, predictive", "imix", _mixer("IMix"), _head("IMixPredictHead")),
    Recipe("ScaleMix", "scalemix", _mixer("ScaleMix"), ONE_IMAGE, widths=(1.0,) * 3),
    Recipe(
        "ScaleMix, both views",
        "scalemix",
        _mixer("ScaleMix", views=(0, 1)),
        ONE_IMAGE,
        widths=(1.0,) * 4,
    ),
    Recipe("CropMix", "scalemix", _mixer("CropMix"), ONE_IMAGE, widths=(1.0,) * 3),
    Recipe(
        "CropMix, blends of three",
        "scalemix",
        _mixer("CropMix", crops=3, kind="mixup"),
        ONE_IMAGE,
        widths=(1.0,) * 4,
    ),
    Recipe("SDMP", "overlap", _mixer("SDMP"), _head("OverlapHead", loss="log_of_sum")),
    Recipe("PatchMix", "overlap", _mixer("PatchMix", patch=4), _head("OverlapHead")),
    Recipe("MixMask", "mixmask", _mixer("MixMask", grid=4), CROSS),
    Recipe(
        "MixMask, cell by cell",
        "mixmask",
        _mixer("MixMask", kind="discrete", grid=4, shuffle=True),
        CROSS,
    ),
    Recipe(
        "Un-Mix and MixMask",
        "several",
        *_stack((UNMIX, CROSS), (_mixer("MixMask", grid=4, shuffle=True), CROSS)),
    ),
    Recipe(
        "Un-Mix and ScaleMix",
        "several",
        *_stack((UNMIX, CROSS), (_mixer("ScaleMix"), ONE_IMAGE)),
        widths=(1.0,) * 3,
    ),
    Recipe(
        "MixCo and CutMix",
        "several",
        *_stack((_mixer("MixCo"), _head("MixCoHead")), (_mixer("CutMix"), CROSS)),
    ),
    Recipe(
        "Mixed Barlow Twins",
        "blended_targets",
        _mixer("MixUp", partner_view=1),
        _head("BlendHead", pairing="own", loss_weight=4.0),
    ),
    Recipe("Un-Mix, the targets blended", "blended_targets", UNMIX, _head("BlendHead")),
    Recipe(
        "RegionCL", "regioncl", _mixer("RegionCL", stride=2, cells=(1, 3)), _head("RegionCLHead")
    ),
    Recipe("AMix-I", "amix", _mixer("AMix"), _head("AMixHead"), {"mix_block": MIX_BLOCK}),
    Recipe(
        "AMix-I, a λ per image",
        "amix",
        _mixer("AMix", per_sample=True),
        _head("AMixHead"),
        {"mix_block": MIX_BLOCK},
    ),
    Recipe(
        "AMix-C",
        "amix",
        _mixer("AMix"),
        _head("AMixHead", block=("cluster", "two_way")),
        {"mix_block": MIX_BLOCK, "clusters": ODC},
    ),
    Recipe("Inter-Intra, by clusters", "policies", _mixer("InterIntra"), CROSS, {"clusters": ODC}),
    Recipe(
        "PuzzleMix, by clusters",
        "policies",
        _mixer("ClusterPuzzleMix", blocks=(2, 4)),
        CROSS,
        {"clusters": ODC},
    ),
    Recipe("MixUp, seen by a teacher", "distill", _mixer("MixUp"), SEEN_BY_BOTH),
    Recipe("CutMix, seen by a teacher", "distill", _mixer("CutMix"), SEEN_BY_BOTH),
    Recipe(
        "AMix, seen by a teacher",
        "distill",
        _mixer("AMix"),
        SEEN_BY_BOTH,
        {"mix_block": MIX_BLOCK},
    ),
    Recipe("MoCHi", "mochi", None, None, {"hard_negatives": MOCHI}),
    Recipe("MoCHi beside Un-Mix", "mochi", UNMIX, CROSS, {"hard_negatives": MOCHI}),
)
"""What the papers describe, each as the mixer and the head that make it."""


def methods() -> dict[str, type[MixtureMethod]]:
    """Every registered method, by name."""
    MODELS.import_from_location()
    return {
        name: found
        for name, found in sorted(MODELS.module_dict.items())
        if inspect.isclass(found) and issubclass(found, MixtureMethod)
    }


def offers(method: type[MixtureMethod]) -> frozenset[str]:
    """What a method can carry, if its config says so."""
    arguments = inspect.signature(method.__init__).parameters
    regions = {"regions"} if "region_neck" in arguments else set()
    bank = {BANK} if "hard_negatives" in arguments else set()
    clusters = {CLUSTERS} if method.clusterable else set()
    return method.capabilities | regions | bank | clusters


def needs(recipe: Recipe) -> frozenset[str]:
    """What a recipe asks of a method."""
    asked = {BANK} if "hard_negatives" in recipe.model else set()
    if recipe.mixer is None:
        return frozenset(asked)
    mixer, head = MIXERS.build(recipe.mixer), MODELS.build(recipe.head)
    assert isinstance(mixer, Mixer) and isinstance(head, MixHead)
    head.check_mixer(mixer)
    return head.asks(mixer) | asked


def lacking(method: type[MixtureMethod], recipe: Recipe) -> list[str]:
    """What keeps a method from carrying a recipe, in the order of the reasons; empty where it can."""
    missing = needs(recipe) - offers(method)
    return [reason for reason in REASONS if reason in missing]


def table() -> str:
    """The grid: a row per recipe, a column per method, ✓ or the numbers of the reasons."""
    columns = methods()
    numbers = {reason: SUPERSCRIPTS[number] for number, reason in enumerate(REASONS, start=1)}
    lines = [
        _row(["mixture", *(name.removeprefix("Mix") for name in columns)]),
        _row([":--", *[":-:"] * len(columns)]),
    ]
    for recipe in RECIPES:
        cells = [f"[{recipe.name}](mixtures/{recipe.page}.md)"]
        for method in columns.values():
            missing = "".join(numbers[reason] for reason in lacking(method, recipe))
            cells.append(f"–{missing}" if missing else "✓")
        lines.append(_row(cells))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def page() -> str:
    """The page of the documents."""
    pairs = [not lacking(method, recipe) for method in methods().values() for recipe in RECIPES]
    notes = "\n".join(f"{number}. It {reason}" for number, reason in enumerate(REASONS.values(), 1))
    return f"""# Which method carries which mixture

Written by `docs/grid.py`; don't edit. ✓: trains, and a test takes three steps with it. –: refused in one line when the
model is built, for the reason of that number below. {sum(pairs)} of {len(pairs)} pairs train.

{table()}

{notes}

The recipes are in `docs/grid.py`. They are not all there is: any mixer goes with any head that reads its layout, and
the tests train those pairs too. [Add a method](add_a_method.md) and [add a mixture](add_a_mixture.md) say how to get a
column or a row.
"""


def main() -> None:
    """Writes the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
