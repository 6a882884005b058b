"""A training step stays small enough to be read: how many of our functions and files it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from support.methods import byol, simclr
from support.methods_more import run_length
from support.tiny import backbone, build, moco, sgd, views

import mixssl

PACKAGE = str(Path(mixssl.__file__).parent)
UNMIX = {"type": "mixssl.UnMix", "p_global": 0.0}
"""Regions take more functions than global mixtures."""
SPLIT = {"norm_cfg": {"type": "mixssl.SplitBN", "num_splits": 2}}


def functions_of(run: Any) -> set[CodeType]:
    """Code of our package that ``run()`` calls; comprehensions count where Python makes functions of them."""
    called: set[CodeType] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            called.add(frame.f_code)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return called


@pytest.mark.parametrize(
    "cfg",
    [moco(mixer=UNMIX, backbone=backbone(**SPLIT)), simclr(mixer=UNMIX), byol(mixer=UNMIX)],
    ids=["MoCo", "SimCLR", "BYOL"],
)
def test_a_step_is_short(cfg: dict) -> None:
    """Sixty functions in thirteen files, from the data preprocessor to the queue: a page in the documents."""
    torch.manual_seed(0)
    with run_length():
        model = build(cfg)
        wrapper = OptimWrapper(sgd(model))
        batch = {"inputs": views(), "data_samples": None}
        model.train_step(batch, wrapper)  # what only a first step does, does not count
        called = functions_of(lambda: model.train_step(batch, wrapper))
    names = sorted(f"{Path(c.co_filename).name}: {c.co_name}" for c in called)
    assert len(called) <= 60, names
    assert len({code.co_filename for code in called}) <= 13, names
