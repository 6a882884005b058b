"""The passes that step_cost calls needed are those that a step makes."""

from __future__ import annotations

import importlib.util
from collections import Counter
from pathlib import Path

import pytest
import torch
from support.amix import amix
from support.tiny import build, moco, views

TOOL = Path(__file__).parents[2] / "tools/benchmarks/step_cost.py"


def _tool():
    spec = importlib.util.spec_from_file_location("step_cost", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("symmetric", "pairing", "both", "expected"),
    [
        (False, "cross", False, 7),
        (False, "all", False, 8),
        (False, "own", False, 8),
        (True, "cross", False, 11),
        (True, "all", False, 11),
        (True, "own", False, 11),
        (False, "mixed", True, 8),
    ],
)
def test_needed_passes_are_those_made(
    symmetric: bool, pairing: str, both: bool, expected: int
) -> None:
    mixer = {"type": "mixssl.UnMix", "views": (0, 1) if both else (0,)}
    model = build(
        moco(
            mixer=mixer,
            symmetric=symmetric,
            mix_head={"type": "mixssl.UnMixHead", "pairing": pairing},
        )
    )
    made = []
    for encoder in (model.backbone, model.encoder_k.module[0]):
        encoder.register_forward_hook(lambda *_: made.append(3 if torch.is_grad_enabled() else 1))
    data = model.data_preprocessor({"inputs": views(), "data_samples": None}, True)
    model(**data, mode="loss")
    terms = [*model.clean_terms(2), *model.mixture_terms(data["mixtures"], 2)]
    rows = dict.fromkeys(range(2 + len(data["mixtures"])), 1)
    assert sum(made) == _tool().needed_units(terms, rows, model.targets_are_online) == expected


def test_a_mix_block_costs_a_pass_for_its_maps_and_two_for_its_mixture() -> None:
    """Ten units against four on MoCo; its maps cost less than counted, since the teacher stops at their layer."""
    model = build(amix(moco))
    data = model.data_preprocessor({"inputs": views(), "data_samples": None}, True)
    terms = [*model.clean_terms(2), *model.mixture_terms(data["mixtures"], 2)]
    found = _tool().needed_units(terms, dict.fromkeys(range(4), 1), False, data["mixtures"])
    passes: Counter[str] = Counter()
    for name, encoder in (("online", model.backbone), ("teacher", model.encoder_k.module[0])):
        for layer in ("layer1", "layer4"):
            encoder.get_submodule(layer).register_forward_hook(
                lambda *_, key=f"{name} {layer}": passes.update([key])
            )
    model(**data, mode="loss")
    assert found == 10
    assert passes == {
        "online layer1": 2,
        "online layer4": 2,
        "teacher layer1": 3,
        "teacher layer4": 2,
    }
