"""What every method promises, tested the day it is registered."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from support.device import DEVICE
from support.grid import CONFIGS
from support.methods_more import mocov3_vit, run_length
from support.parents import mixture
from support.tiny import build, total, views

pytestmark = pytest.mark.device
UNMIX = {"type": "mixssl.UnMix"}
METHODS = {**CONFIGS, "MixMoCoV3, ViT": mocov3_vit}
MUTUAL = {"mix_head": {"type": "mixssl.UnMixHead", "pairing": "mutual"}}
CHANGES: dict[str, dict] = {"MixBYOL": MUTUAL, "MixSimSiam": MUTUAL, "MixWMSE": {"w_size": 32}}
"""What a method is tested with in low precision, beside Un-Mix."""
NEAR_0 = {"MixBYOL", "MixSimSiam", "MixSimCLR", "MixBarlowTwins", "MixVICReg"}
"""Methods with losses that may be next to 0, for which rounding is held against 1."""


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


@pytest.mark.parametrize("name", METHODS)
def test_inputs_are_not_modified(name: str) -> None:
    model, x = build(METHODS[name](mixer=UNMIX)), views()
    before = [view.clone() for view in x]
    data = model.data_preprocessor({"inputs": x, "data_samples": None}, True)
    assert data["mixtures"]
    total(model(**data, mode="loss")).backward()
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))


@pytest.mark.parametrize("name", METHODS)
def test_evaluation_moves_nothing(name: str) -> None:
    model = build(METHODS[name]()).eval()
    before = copy.deepcopy(model.state_dict())
    assert before
    with torch.no_grad():
        losses = [model(views(), mode="loss") for _ in range(2)]
        model.data_preprocessor({"inputs": views(), "data_samples": None}, False)
    model.after_optimizer_step()
    assert losses[0].keys() == losses[1].keys()
    assert all(torch.equal(value, losses[1][key]) for key, value in losses[0].items())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize("name", METHODS)
def test_bfloat16_changes_the_loss_no_more_than_its_rounding(name: str) -> None:
    model = build(METHODS[name](mixer=UNMIX, **CHANGES.get(name, {})))
    x = views(32 if name == "MixWMSE" else 8)
    mixed = mixture("region", x[0])
    exact = copy.deepcopy(model)(x, mode="loss", mixtures=[mixed])
    with torch.autocast(DEVICE.type, torch.bfloat16):
        rounded = model(x, mode="loss", mixtures=[mixed])
    assert "loss_mix" in exact and exact.keys() == rounded.keys()
    for key, value in exact.items():
        assert rounded[key].dtype == torch.float32
        least = 1.0 if name in NEAR_0 else 0.0
        tolerance = 0.03 if name == "MixMoCo" else 0.05
        assert abs(rounded[key] - value) <= tolerance * max(abs(value.item()), least), key
    total(rounded).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
