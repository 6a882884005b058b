"""Attention maps of the last stage."""

from __future__ import annotations

import pytest
import torch
from support import tiny
from support.methods_more import mocov3_vit
from torch import Tensor, nn

from mixssl.evaluation import attention_maps, head_maps, spread


class Pass(nn.Module):
    """A model whose backbone hands on what it is given."""

    def __init__(self, out: Tensor) -> None:
        super().__init__()
        self.backbone = nn.Identity()
        self.backbone.forward = lambda x: (out,)  # type: ignore[method-assign]


def test_a_map_is_the_scaled_sum_of_squares() -> None:
    out = torch.tensor([[[[1.0, 0.0], [2.0, 0.0]], [[0.0, 1.0], [0.0, 3.0]]]])
    (found,) = attention_maps(Pass(out), torch.zeros(1, 3, 2, 2))
    # Sums of squares: 1, 1, 4, 9; from 0 at 1 to 1 at 9.
    assert found.tolist() == [[0.0, 0.0], [pytest.approx(3 / 8), 1.0]]


def test_an_even_response_is_an_empty_map() -> None:
    found = attention_maps(Pass(torch.ones(2, 4, 3, 3)), torch.zeros(2, 3, 6, 6))
    assert found.shape == (2, 6, 6) and not found.any()


def test_a_model_is_left_as_it_was() -> None:
    model = tiny.build(tiny.moco())
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = attention_maps(model, tiny.views()[0])
    assert found.shape == (8, 16, 16) and not found.requires_grad
    assert found.amin().item() == 0 and found.amax((1, 2)).tolist() == pytest.approx([1.0] * 8)
    assert model.training and model.backbone.training
    assert all(value.equal(state[name]) for name, value in model.state_dict().items())


def attended(model: nn.Module, images: Tensor) -> Tensor:
    """Attention of the class token in the last layer, by the definition."""
    found: list[Tensor] = []
    layer = model.backbone.layers[-1]
    handle = layer.ln1.register_forward_hook(lambda _, __, out: found.append(out))
    model.backbone(images)
    handle.remove()
    tokens, size = found[0], layer.attn.head_dims
    query, key, _ = layer.attn.qkv(tokens).chunk(3, dim=2)
    heads = []
    for head in range(layer.attn.num_heads):
        part = slice(head * size, (head + 1) * size)
        scores = query[:, :1, part] @ key[:, :, part].transpose(1, 2) / size**0.5
        heads.append(scores.softmax(2)[:, 0, 1:].reshape(len(images), 4, -1))
    return torch.stack(heads, 1)


def test_the_class_token_of_a_transformer_attends_by_heads() -> None:
    model = tiny.build(mocov3_vit())
    images = torch.randn(2, 3, 16, 24)
    found = head_maps(model, images)
    assert found.shape == (2, 2, 16, 24) and not found.requires_grad
    weights = attended(model.eval(), images).detach()
    large = torch.nn.functional.interpolate(weights, (16, 24), mode="bilinear")
    low, high = large.amin((2, 3), True), large.amax((2, 3), True)
    torch.testing.assert_close(found, (large - low) / (high - low), atol=1e-4, rtol=1e-4)
    mean = attention_maps(model, images)
    assert mean.shape == (2, 16, 24) and mean.amax((1, 2)).tolist() == pytest.approx([1.0] * 2)
    with pytest.raises(ValueError, match="choose a vision transformer"):
        head_maps(tiny.build(tiny.moco()), images)


def test_vectors_have_no_map() -> None:
    with pytest.raises(ValueError, match="convolutional backbone"):
        attention_maps(Pass(torch.ones(2, 4)), torch.zeros(2, 3, 6, 6))


def test_spread_at_its_limits() -> None:
    point, half = torch.zeros(4, 4), torch.zeros(4, 4)
    point[1, 2], half[:2] = 1.0, 0.3
    found = spread(torch.stack([point, half, torch.ones(4, 4), torch.zeros(4, 4)]))
    # Half of sixteen places: log 8 / log 16.
    assert found.tolist() == pytest.approx([0.0, 0.75, 1.0, 1.0])
