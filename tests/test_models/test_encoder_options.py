"""Encoders made faster or smaller compute what they computed before, to the bit or to rounding."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from support import classifiers
from support.amix import amix
from support.device import same
from support.grid import config
from support.methods import simsiam
from support.methods_more import run_length
from support.tiny import backbone, build, moco, sgd, total, views
from support.tools import load_tool
from torch import Tensor, nn

from mixssl.models.encoder_options import _Compiled, eager
from mixssl.utils.errors import ConfigError

GRID = load_tool("grid", "docs")
UNMIX = {"type": "mixssl.UnMix"}
MANIFOLD = {"type": "mixssl.ManifoldMix"}
METHODS = {
    "MoCo": lambda: moco(mixer=UNMIX),
    "BYOL": lambda: config("MixBYOL", UNMIX, GRID.CROSS, {}),
    "SimCLR": lambda: config("MixSimCLR", UNMIX, GRID.CROSS, {}),
    "MoCo v3": lambda: config("MixMoCoV3", UNMIX, GRID.CROSS, {}),
    "ManifoldMix": lambda: moco(mixer=MANIFOLD),
    "AMix": lambda: amix(moco),
    "AMix on SimSiam": lambda: amix(simsiam),
    "distillation": lambda: config("MixDistill", UNMIX, GRID.SEEN_BY_BOTH, {}),
}


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    torch.compiler.reset()
    with run_length():
        yield


def _steps(cfg: dict, **options: Any) -> tuple[list[Tensor], dict[str, Tensor]]:
    """Losses of three steps and the state after them."""
    model = build(cfg | options)
    optimizer, losses = sgd(model, lr=0.01), []
    for step in range(3):
        torch.manual_seed(step)
        data = model.data_preprocessor(
            {"inputs": views(8, 16, seed=step), "data_samples": None}, True
        )
        loss = total(model(**data, mode="loss"))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses, model.state_dict()


def _assert_equal(first: Any, second: Any) -> None:
    (losses, state), (others, other) = first, second
    assert all(map(same, losses, others))
    assert list(state) == list(other)
    different = [key for key in state if not same(state[key], other[key])]
    assert not different


@pytest.mark.device
@pytest.mark.parametrize("name", METHODS)
def test_blocks_computed_twice_change_no_bit(name: str) -> None:
    """Gradients, running statistics and their counts, queue and momentum encoder included."""
    _assert_equal(_steps(METHODS[name]()), _steps(METHODS[name](), checkpoint_backbone=True))


@pytest.mark.parametrize("name", METHODS)
def test_compiled_encoders_change_no_bit_where_the_backend_computes_the_same(name: str) -> None:
    traced: list[int] = []

    def backend(graph: torch.fx.GraphModule, inputs: list) -> Callable:
        traced.append(len(graph.graph.nodes))
        return graph.forward

    plain = _steps(METHODS[name]())
    _assert_equal(plain, _steps(METHODS[name](), compile_encoders={"backend": backend}))
    assert max(traced) > 60, "the backbone is one graph"


def test_a_backend_that_rounds_otherwise_changes_losses_by_rounding() -> None:
    plain, _ = _steps(METHODS["MoCo"]())
    found, _ = _steps(METHODS["MoCo"](), compile_encoders={"backend": "aot_eager"})
    torch.testing.assert_close(found, plain, rtol=1e-5, atol=0)


@pytest.mark.parametrize("name", ["MoCo", "SimCLR", "AMix", "distillation"])
def test_channels_last_changes_losses_by_rounding(name: str) -> None:
    plain, _ = _steps(METHODS[name]())
    found, state = _steps(METHODS[name](), channels_last=True)
    torch.testing.assert_close(found[0], plain[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(found, plain, rtol=1e-3, atol=0)
    weight = state["backbone.layer1.0.conv1.weight"]
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_weights_are_drawn_the_same_in_any_layout() -> None:
    plain, laid_out = (build(moco(channels_last=last)).state_dict() for last in (False, True))
    assert all(value.equal(laid_out[key]) for key, value in plain.items())


def test_maps_follow_the_layout_of_the_weights() -> None:
    model = build(moco(channels_last=True))
    layouts = []
    for encoder in (model.backbone, model.encoder_k.module[0]):
        encoder.layer2.register_forward_hook(
            lambda *args: layouts.append(args[2].is_contiguous(memory_format=torch.channels_last))
        )
    model(views(), mode="loss")
    assert layouts == [True, True]


def test_a_reduced_format_changes_losses_by_its_rounding() -> None:
    """bfloat16 has 8 bits: a step of 2^-8, and the loss is a mean over rows."""
    model = build(METHODS["MoCo"]())
    data = model.data_preprocessor({"inputs": views(), "data_samples": None}, True)
    plain = model.eval()(**data, mode="loss")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(**data, mode="loss")
    for name, value in plain.items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], value, rtol=2**-6, atol=0)


@pytest.mark.parametrize(
    "option", [{"checkpoint_backbone": True}, {"compile_encoders": {"backend": "eager"}}]
)
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_a_copy_runs_its_own_weights(option: dict, copied: Callable) -> None:
    model = build(moco(**option)).eval()
    images = views()[0]
    before = model.backbone(images)[0]
    twin = copied(model)
    with torch.no_grad():
        for parameter in twin.backbone.parameters():
            parameter.mul_(2)
    assert torch.equal(model.backbone(images)[0], before)
    assert not torch.equal(twin.backbone(images)[0], before)


def test_what_cannot_be_compiled_runs_as_it_is() -> None:
    def broken(graph: torch.fx.GraphModule, inputs: list) -> Callable:
        raise RuntimeError("no compiler here")

    plain = _steps(moco())
    with pytest.warns(UserWarning, match="ResNet_CIFAR runs uncompiled"):
        _assert_equal(plain, _steps(moco(), compile_encoders={"backend": broken}))


def test_an_error_of_the_network_is_not_swallowed() -> None:
    model = build(moco(compile_encoders={"backend": "eager"}))
    with pytest.raises(Exception, match="channels"):
        model.backbone(torch.randn(2, 5, 16, 16))


def test_hooks_inside_are_called_while_eager() -> None:
    model = build(moco(compile_encoders={"backend": "eager"})).eval()
    images, calls = views()[0], []
    model.backbone(images)
    model.backbone.layer1.register_forward_hook(lambda *_: calls.append(1))
    with eager(model.backbone):
        model.backbone(images)
    assert calls == [1]


def test_a_mixture_inside_a_block_computed_twice_is_refused() -> None:
    mixer = MANIFOLD | {"layers": ["layer1.0.conv1"]}
    model = build(moco(mixer=mixer, checkpoint_backbone=True))
    data = model.data_preprocessor({"inputs": views(), "data_samples": None}, True)
    with pytest.raises(
        ValueError, match=r"mix behind 'layer1.0', or set model.checkpoint_backbone=False"
    ):
        model(**data, mode="loss")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"compile_encoders": True}, "and each wants to run the backbone: leave one out"),
        ({"backbone": backbone(with_cp=True)}, "leave with_cp out"),
        ({"backbone": nn.Sequential(nn.Conv2d(3, 4, 3))}, "Sequential has no stages made of blo"),
    ],
)
def test_blocks_that_can_not_be_computed_twice_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(moco(checkpoint_backbone=True, **changes))


@pytest.mark.parametrize(
    "cfg", [classifiers.plain(type="mixssl.MixClassifier"), classifiers.amix()]
)
def test_classifiers_take_the_options_too(cfg: dict) -> None:
    model = build(cfg | {"channels_last": True, "compile_encoders": {"backend": "eager"}})
    encoders = [[model.backbone, model.neck]]
    if model.mixer is not None:
        encoders.append(list(model.momentum_encoder.module)[:2])
    for trunk, neck in encoders:
        assert trunk.conv1.weight.is_contiguous(memory_format=torch.channels_last)
        assert isinstance(trunk.forward, _Compiled) and isinstance(neck.forward, _Compiled)
