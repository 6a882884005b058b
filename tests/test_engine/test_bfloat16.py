"""Steps in bfloat16: what is computed in it, what stays in float32, what a checkpoint holds."""

from copy import deepcopy

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mixssl.engine.optimizers import BFloat16OptimWrapper
from mixssl.registry import OPTIM_WRAPPERS


def _wrapped(**arguments) -> tuple[nn.Linear, BFloat16OptimWrapper]:
    torch.manual_seed(0)
    layer = nn.Linear(8, 4)
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(layer.parameters(), lr=0.1), **arguments)
    return layer, wrapper


def _step(layer: nn.Linear, wrapper: BFloat16OptimWrapper, rows: Tensor) -> Tensor:
    with wrapper.optim_context(layer):
        out = layer(rows)
    wrapper.update_params(out.float().square().mean())
    return out


def test_the_forward_pass_is_bfloat16_and_the_step_float32() -> None:
    layer, wrapper = _wrapped()
    exact, rows = deepcopy(layer), torch.randn(16, 8)
    assert _step(layer, wrapper, rows).dtype is torch.bfloat16
    assert layer.weight.dtype is torch.float32
    taken = exact.weight - layer.weight
    expected = 0.1 * torch.autograd.grad(exact(rows).square().mean(), exact.weight)[0]
    assert torch.allclose(taken, expected, rtol=0.05, atol=1e-3)
    assert not torch.equal(taken, expected)


def test_outside_of_the_context_nothing_is_cast() -> None:
    layer, wrapper = _wrapped()
    _step(layer, wrapper, torch.randn(16, 8))
    assert layer(torch.randn(2, 8)).dtype is torch.float32


def test_gradients_accumulate_as_without_it() -> None:
    layer, wrapper = _wrapped(accumulative_counts=2)
    wrapper.initialize_count_status(layer, 0, 4)
    before, rows = layer.weight.detach().clone(), torch.randn(16, 8)
    _step(layer, wrapper, rows)
    assert torch.equal(layer.weight, before)
    _step(layer, wrapper, rows)
    assert not torch.equal(layer.weight, before)


def test_a_checkpoint_of_mmengines_wrapper_is_taken_up() -> None:
    wrapper = _wrapped()[1]
    state = wrapper.state_dict()
    assert "loss_scaler" not in state
    state["loss_scaler"] = {}  # AmpOptimWrapper's, switched off
    state["param_groups"][0]["lr"] = 0.7
    wrapper.load_state_dict(state)
    assert wrapper.get_lr()["lr"] == [0.7]


def test_configs_find_it() -> None:
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        assert OPTIM_WRAPPERS.get("mixssl.BFloat16OptimWrapper") is BFloat16OptimWrapper


@pytest.mark.gpu
def test_on_a_gpu_too() -> None:
    layer, wrapper = _wrapped()
    assert _step(layer.to("cuda"), wrapper, torch.randn(16, 8, device="cuda")).dtype is (
        torch.bfloat16
    )
