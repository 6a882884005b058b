"""An encoder used from outside: gradients pass through it and nothing in it changes."""

from __future__ import annotations

import pytest
import torch
from mmpretrain.models import ResNet_CIFAR
from torch import nn

from mixssl.models.backbone_hooks import captured, frozen, run_until
from mixssl.models.layers import SplitBN


def _encoder(norm: type[nn.Module] = nn.BatchNorm2d) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), norm(8), nn.ReLU(), nn.Conv2d(8, 4, 1))


def _images() -> torch.Tensor:
    return torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in module.state_dict().items()}


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, SplitBN])
def test_gradient_passes_through_what_is_frozen(norm: type[nn.Module]) -> None:
    encoder, images = _encoder(norm), _images().requires_grad_()
    expected_out = encoder(images)
    (expected,) = torch.autograd.grad(expected_out.square().sum(), images)
    before = _state(encoder)
    with frozen(encoder):
        out = encoder(images)
    out.square().sum().backward()
    assert torch.equal(out, expected_out) and torch.allclose(images.grad, expected)
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert all(torch.equal(value, before[key]) for key, value in encoder.state_dict().items())


def test_everything_is_as_before_afterwards() -> None:
    encoder, other = _encoder(), _encoder()
    encoder[0].weight.requires_grad_(False)
    encoder[1].track_running_stats = True
    other[1].track_running_stats = False
    with frozen(encoder, other):
        assert not any(p.requires_grad for part in (encoder, other) for p in part.parameters())
    with pytest.raises(RuntimeError, match="input"), frozen(encoder, other):
        encoder(torch.zeros(1, 1, 1, 1))
    assert not encoder[0].weight.requires_grad
    assert encoder[0].bias.requires_grad and encoder[1].weight.requires_grad
    assert encoder[1].track_running_stats and not other[1].track_running_stats
    before = _state(encoder)
    encoder(_images())
    assert encoder[1].num_batches_tracked == before["1.num_batches_tracked"] + 1


def test_frozen_in_evaluation_uses_the_running_statistics() -> None:
    encoder = _encoder()
    encoder(_images())
    encoder.eval()
    with frozen(encoder):
        out = encoder(_images())
    assert torch.equal(out, encoder(_images()))


def test_frozen_within_frozen() -> None:
    encoder = _encoder()
    with frozen(encoder):
        with frozen(encoder):
            pass
        assert not encoder[0].weight.requires_grad and not encoder[1].track_running_stats
    assert encoder[0].weight.requires_grad and encoder[1].track_running_stats


def test_captures_each_pass_without_gradient() -> None:
    encoder = _encoder()
    with captured(encoder[2]) as found:
        encoder(_images())
        encoder(2 * _images())
    encoder(_images())
    assert len(found) == 2 and not any(output.requires_grad for output in found)
    assert torch.equal(found[0], encoder[:3](_images()))


def test_run_until_stops_there() -> None:
    backbone = ResNet_CIFAR(depth=18, base_channels=4)
    images = torch.randn(2, 3, 16, 16)
    passed: list[str] = []
    for name in ("layer1", "layer3", "layer4"):
        backbone.get_submodule(name).register_forward_hook(
            lambda *args, name=name: passed.append(name)
        )
    maps = run_until(backbone, "layer3", images)
    assert passed == ["layer1", "layer3"] and not maps.requires_grad
    with captured(backbone.layer3) as found:
        backbone(images)
    assert maps.shape == (2, 16, 4, 4) and torch.allclose(maps, found[0])
    assert passed[2:] == ["layer1", "layer3", "layer4"], "the hook is still there"


class _Odd(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.unused, self.two = nn.Identity(), nn.Identity(), _Two()

    def forward(self, x: torch.Tensor) -> tuple:
        return self.two(self.first(x))


class _Two(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple:
        return x, x


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("layer9", "layer is 'layer9' and _Odd has no such module: choose one like first, unused"),
        ("", "layer is ''"),
        ("unused", "_Odd does not run its module 'unused'"),
        ("two", "_Two puts out a tuple and must put out one tensor"),
    ],
)
def test_layers_that_do_not_serve_are_refused(layer: str, message: str) -> None:
    model = _Odd()
    with pytest.raises(ValueError, match=message):
        run_until(model, layer, _images())
    assert not any(module._forward_hooks for module in model.modules())
