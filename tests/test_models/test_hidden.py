"""Mixtures in a hidden layer: ManifoldMix on MoCo against the backbone's stages spelled out."""

from __future__ import annotations

import copy

import pytest
import torch
from support.tiny import build, moco, preprocessor, total, train, views
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.mixing import ManifoldMix
from mixssl.models.backbone_hooks import mixed_hidden
from mixssl.structures import MixedView

MIXER = {"type": "mixssl.ManifoldMix"}


def _mixture(layer: str, x: list[Tensor], per_sample: bool = False) -> MixedView:
    mixer = ManifoldMix(layers=(layer,), per_sample=per_sample)
    (mixed,) = mixer(x, torch.Generator().manual_seed(2))
    return mixed


def _stages(backbone: nn.Module, x: Tensor, mixed: MixedView) -> tuple[Tensor]:
    """The forward pass of a ResNet for small images, mixed behind one stage."""
    lam = mixed.lam.view(-1, 1, 1, 1)
    x = F.relu(backbone.norm1(backbone.conv1(x)))
    for name in ("layer1", "layer2", "layer3", "layer4"):
        x = getattr(backbone, name)(x)
        if name == mixed.layer:
            x = lam * x + (1 - lam) * x[mixed.partner]
    return (x,)


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("layer", ["layer1", "layer3", "layer4"])
def test_the_loss_and_its_gradient_are_the_papers(layer: str, per_sample: bool) -> None:
    model, x = build(moco(mixer=MIXER)), views()
    mixed = _mixture(layer, x, per_sample)
    assert mixed.images is None and mixed.layer == layer
    twin = copy.deepcopy(model)
    twin.update_momentum()
    losses = model(x, mode="loss", mixtures=[mixed])
    twin.backbone(x[0])  # the clean view moves the running statistics first
    query = F.normalize(twin.neck(_stages(twin.backbone, x[0], mixed))[0])
    with torch.no_grad():
        key = F.normalize(twin.encoder_k(x[1])[0])
    expected = torch.zeros(())
    for weight, target in ((mixed.lam, key), (1 - mixed.lam, key[mixed.partner])):
        logits = torch.cat([(query * target).sum(1, keepdim=True), query @ twin.queue], 1) / 0.2
        expected = expected - (weight * logits.log_softmax(1)[:, 0]).mean()
    assert losses["loss_mix"].item() == pytest.approx(expected.item(), abs=1e-6)
    losses["loss_mix"].backward()
    expected.backward()
    for (name, a), b in zip(model.named_parameters(), twin.parameters(), strict=True):
        if a.grad is not None:
            assert (a.grad - b.grad).abs().max() <= 2e-4 * b.grad.abs().max().clamp_min(1e-3), name


def test_the_cost_is_one_more_forward_and_no_hook_stays() -> None:
    model, calls = build(moco(mixer=MIXER | {"layers": ("layer2",)})), []
    model.backbone.register_forward_hook(lambda *_: calls.append(1))
    assert all(torch.isfinite(value) for value in train(model, 2))
    assert len(calls) == 4
    assert not model.backbone.layer2._forward_hooks


def test_a_hook_is_taken_off_after_an_error_too() -> None:
    model, x = build(moco()), views()

    def broken() -> None:
        with mixed_hidden(model.backbone, _mixture("layer1", x)):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert not model.backbone.layer1._forward_hooks


@pytest.mark.parametrize("lam", [0.0, 1.0])
def test_at_the_ends_of_lam_a_mixture_is_one_of_its_images(lam: float) -> None:
    model, x = build(moco(mixer=MIXER)).eval(), views()
    mixed = _mixture("layer2", x)._replace(lam=torch.full((8,), lam))
    with torch.no_grad():
        with mixed_hidden(model.backbone, mixed):
            features = model.backbone(x[0])[-1]
        expected = model.backbone(x[0] if lam else x[0][mixed.partner])[-1]
    assert torch.allclose(features, expected, atol=1e-6)


def test_layers_are_drawn_evenly_and_pixels_are_one_of_them() -> None:
    x, mixer = views(2, 4), ManifoldMix()
    drawn = [mixer(x, torch.Generator().manual_seed(seed))[0] for seed in range(600)]
    names = [mixed.layer for mixed in drawn]
    for layer in (None, "layer1", "layer2"):
        assert names.count(layer) / 600 == pytest.approx(1 / 3, abs=0.06)
    assert all((mixed.images is None) == (mixed.layer is not None) for mixed in drawn)


def test_bfloat16_changes_the_loss_no_more_than_its_rounding() -> None:
    model, x = build(moco(mixer=MIXER)), views()
    mixed = _mixture("layer2", x)
    exact = copy.deepcopy(model)(x, mode="loss", mixtures=[mixed])
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(x, mode="loss", mixtures=[mixed])
    total(rounded).backward()
    assert rounded["loss_mix"].item() == pytest.approx(exact["loss_mix"].item(), rel=0.03)


def test_what_can_not_work_is_refused() -> None:
    with pytest.raises(
        ValueError, match="'layer9' and ResNet_CIFAR has no such module.*layer1, layer2"
    ):
        build(moco(mixer=MIXER | {"layers": ("layer9",)}))
    with pytest.raises(ValueError, match=r"ManifoldMix mixes hidden features.*set joint_bn=False"):
        build(moco(mixer=MIXER, joint_bn=True))
    with pytest.raises(ValueError, match="layers of ManifoldMix is 'layer1' and must name modules"):
        ManifoldMix(layers="layer1")
    x = views()
    cfg = moco(
        data_preprocessor=preprocessor(MIXER | {"views": (0, 1)}),
        mix_head={"type": "mixssl.UnMixHead", "pairing": "mixed"},
    )
    with pytest.raises(
        ValueError,
        match="ManifoldMix mixes features .* can be no target of MixMoCo: choose pairing",
    ):
        build(cfg)
    backbone = build(moco()).backbone
    with (
        mixed_hidden(backbone, _mixture("layer1", x)),
        pytest.raises(ValueError, match=r"'layer1' puts out \(4, .* a row for each of 8 images"),
    ):
        backbone(x[0][:4])
