"""What only a GPU shows: half precision, compiled encoders and NCCL change losses by rounding."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from support.grid import CONFIGS
from support.methods_more import run_length
from support.tiny import build, sgd, views
from torch import Tensor, distributed, nn

from mixssl.engine.optimizers import BFloat16OptimWrapper

pytestmark = pytest.mark.gpu
UNMIX = {"type": "mixssl.UnMix"}
CHANGES: dict[str, dict] = {"MixWMSE": {"w_size": 32}}
"""Groups as large as the batch, which half precision can whiten."""
NEAR_0 = {"MixBYOL", "MixSimSiam", "MixSimCLR", "MixBarlowTwins", "MixVICReg"}
"""Methods with losses that may be next to 0, for which rounding is held against 1."""
WRAPPERS: dict[str, Any] = {
    "float32": OptimWrapper,
    "float16": lambda optimizer: AmpOptimWrapper("dynamic", "float16", optimizer=optimizer),
    "bfloat16": BFloat16OptimWrapper,
}


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def _model(name: str, **options: Any) -> Any:
    return build(CONFIGS[name](mixer=UNMIX, **CHANGES.get(name, {}), **options)).cuda()


def _steps(model: nn.Module, wrap: Any = OptimWrapper) -> list[Tensor]:
    """The losses of three steps."""
    wrapper = wrap(sgd(model, lr=0.01))
    batches = [{"inputs": views(32, seed=step), "data_samples": None} for step in range(3)]
    return [model.train_step(batch, wrapper)["loss"].detach() for batch in batches]


def _assert_near(found: list[Tensor], exact: list[Tensor], name: str, share: float) -> None:
    """The first step's loss is, up to a share of it; later ones have followed other weights."""
    least = 1.0 if name in NEAR_0 else 0.0
    assert abs(found[0] - exact[0]) <= share * max(abs(exact[0].item()), least)
    assert all(loss.isfinite() for loss in found)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_half_precision_trains(name: str, dtype: str) -> None:
    model = _model(name)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    found = _steps(model, WRAPPERS[dtype])
    _assert_near(found, _steps(_model(name)), name, 0.05)
    assert any(not a.equal(b) for a, b in zip(before, model.parameters(), strict=True))
    assert all(parameter.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["MixMoCo", "MixSimCLR", "MixBYOL"])
def test_compiled_encoders_train(name: str) -> None:
    found = _steps(_model(name, compile_encoders=True, channels_last=True))
    torch.testing.assert_close(found[0], _steps(_model(name))[0], rtol=1e-3, atol=1e-4)
    assert all(loss.isfinite() for loss in found)


@pytest.mark.parametrize("name", CONFIGS)
def test_one_process_with_nccl_trains_as_one_without(name: str, tmp_path: Path) -> None:
    exact = _steps(_model(name))
    distributed.init_process_group("nccl", f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        wrapped = MMDistributedDataParallel(_model(name), device_ids=[0], broadcast_buffers=False)
        found = _steps(wrapped)
    finally:
        distributed.destroy_process_group()
    torch.testing.assert_close(found, exact, rtol=1e-3, atol=1e-4)
