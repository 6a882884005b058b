"""The classifier with AMix against a transcription of the paper, and its gradients where they belong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from support.classifiers import BLOCK, CLASSES, amix, labelled, plain, targets
from support.ddp import run_ranks
from support.methods_more import run_length
from support.parents import assert_close_gradients, freeze_norms
from support.tiny import WIDTH, backbone, build, sgd, total
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mixssl.mixing import StepRandom
from mixssl.models.necks import adjust_mask
from mixssl.structures import BLOCK as FOR_BLOCK
from mixssl.structures import ENCODER

ALL_LOSSES = ("ce", "pbce", "bce")
OF_BLOCK = ("loss_block", "loss_mask")


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length(100):
        yield


def _losses(model: Any, **changes: Any) -> dict[str, Tensor]:
    return model(**labelled(**changes), mode="loss")


def _parts(losses: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """What the encoder and what the block learns from."""
    of_block = {name for name in losses if name.startswith(OF_BLOCK)}
    return (
        total({name: value for name, value in losses.items() if name not in of_block}),
        total({name: losses[name] for name in of_block}),
    )


def _spread(model: Any) -> Any:
    """Takes the block away from its start, where all masks are flat and its gradients small."""
    generator = torch.Generator().manual_seed(1)
    for parameter in model.mix_block.parameters():
        if parameter.ndim == 4:
            parameter.data = torch.randn(parameter.shape, generator=generator)
    model.mix_block.encoding.lam_gamma.data.fill_(0.5)
    return model


# -- the parent ------------------------------------------------------------------------------------


def test_without_a_block_it_is_mmpretrains_classifier() -> None:
    ours, parent = build(amix(mix_block=None)), build(plain())
    assert ours.state_dict().keys() == parent.state_dict().keys()
    wrappers = [OptimWrapper(sgd(model)) for model in (ours, parent)]
    for step in range(3):
        logs = [
            model.train_step(labelled(seed=step), wrapper)
            for model, wrapper in zip((ours, parent), wrappers, strict=True)
        ]
        assert logs[0].keys() == logs[1].keys()
        assert torch.equal(logs[0]["loss"], logs[1]["loss"])
    x = labelled()["inputs"]
    assert torch.equal(ours(x), parent(x))


def test_mmpretrains_classifier_loads_its_checkpoints_and_predicts_the_same() -> None:
    ours = build(amix())
    total(_losses(ours)).backward()
    parent = build(plain(), seed=1)
    found = parent.load_state_dict(ours.state_dict(), strict=False)
    assert not found.missing_keys
    assert {key.split(".")[0] for key in found.unexpected_keys} == {
        "mix_block",
        "mixed_head",
        "momentum_encoder",
        "random",
    }
    x = labelled(seed=3)["inputs"]
    ours.eval(), parent.eval()
    assert torch.equal(ours(x), parent(x))
    one, other = ours.predict(x), parent.predict(x)
    assert all(torch.equal(a.pred_score, b.pred_score) for a, b in zip(one, other, strict=True))
    for stage in ("backbone", "neck"):
        assert torch.equal(ours.extract_feat(x, stage)[0], parent.extract_feat(x, stage)[0])


@pytest.mark.parametrize(("name", "head"), [("clean", "head"), ("mixed", "mixed_head")])
def test_either_head_can_predict(name: str, head: str) -> None:
    model = build(amix(predict_with=name)).eval()
    assert not torch.equal(model.head.fc.weight, model.mixed_head.fc.weight)
    x = labelled()["inputs"]
    logits = getattr(model, head)(model.extract_feat(x))
    assert torch.equal(model(x), logits)
    samples = model(**labelled(), mode="predict")
    assert torch.allclose(samples[3].pred_score, logits[3].softmax(0))
    assert samples[3].pred_label == logits[3].argmax()
    assert samples[3].gt_label == 3, "the sample that was given"


# -- losses ----------------------------------------------------------------------------------------


def _naive(model: Any, x: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """A step before the momentum encoder has learned anything: it is the encoder."""
    generator = StepRandom(0)()
    for_encoder, for_block = model.mixer([x], generator)
    backbone, block, n = model.backbone, model.mix_block, range(len(x))

    def maps_and_vectors(images: Tensor) -> tuple[Tensor, Tensor]:
        z = backbone.relu(backbone.norm1(backbone.conv1(images)))
        z = backbone.layer3(backbone.layer2(backbone.layer1(z)))
        return z, backbone.layer4(z).mean((2, 3))

    def mixed(record: Any) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            maps = maps_and_vectors(x)[0]
        mask = block(maps, record.index, record.partner, record.lam, (16, 16))
        rows = [mask[i] * x[i] + (1 - mask[i]) * x[record.partner[i]] for i in n]
        return mask, torch.stack(rows)

    def cross_entropy(logits: Tensor, record: Any) -> Tensor:
        rows = []
        for i in n:
            label = record.lam[i] * F.one_hot(labels[i], CLASSES)
            label = label + (1 - record.lam[i]) * F.one_hot(labels[record.partner[i]], CLASSES)
            rows.append(-(label * logits[i].log_softmax(0)).sum())
        return torch.stack(rows).mean()

    def two_way(pairs: list[Tensor], record: Any) -> Tensor:
        rows = []
        for i in n:
            p = pairs[i].softmax(0)
            rows.append(-record.lam[i] * p[0].log() - (1 - record.lam[i]) * p[1].log())
        return torch.stack(rows).mean()

    found = {"loss_clean": F.cross_entropy(model.head.fc(maps_and_vectors(x)[1]), labels)}
    images = mixed(for_encoder)[1].detach()
    logits = model.mixed_head.fc(maps_and_vectors(images)[1])
    found["loss_mix"] = cross_entropy(logits, for_encoder)

    mask, images = mixed(for_block)
    vectors, clean = maps_and_vectors(images)[1], maps_and_vectors(x)[1]
    logits = model.mixed_head.fc(vectors)
    found["loss_block_ce"] = cross_entropy(logits, for_block)
    classes = [labels, labels[for_block.partner]]
    found["loss_block_pbce"] = two_way(
        [torch.stack([logits[i, c[i]] for c in classes]) for i in n], for_block
    )
    cosines = F.normalize(vectors, dim=1) @ F.normalize(clean, dim=1).T
    found["loss_block_bce"] = two_way(
        [cosines[i, [i, int(for_block.partner[i])]] / 0.2 for i in n], for_block
    )
    return found | block.mask_losses(mask, for_block.lam)


@pytest.mark.parametrize("per_sample", [False, True])
def test_losses_are_those_of_the_paper_transcribed(per_sample: bool) -> None:
    model = _spread(build(amix(block_losses=ALL_LOSSES, per_sample=per_sample)))
    batch = labelled()
    before = batch["inputs"].clone()
    losses = model(**batch, mode="loss")
    assert torch.equal(batch["inputs"], before)
    expected = _naive(model, batch["inputs"], targets())
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.allclose(losses[name], value, atol=1e-5), name
    assert losses["loss_mask_var"] < -1e-4, "the masks are not flat"


def test_the_encoder_learns_from_adjusted_masks_if_the_block_says_so() -> None:
    plain_masks, adjusted = (
        _spread(build(amix(mix_block=BLOCK | {"adjust": adjust}))) for adjust in (False, True)
    )
    x = labelled()["inputs"]
    drawn = plain_masks.mixer([x], StepRandom(0)())
    assert [record.learned for record in drawn] == [ENCODER, FOR_BLOCK]
    rendered = [model.render_mixtures([x], drawn) for model in (plain_masks, adjusted)]
    encoder, block = zip(*rendered, strict=True)
    assert torch.equal(block[0].mask, block[1].mask)
    assert torch.allclose(encoder[1].mask, adjust_mask(encoder[0].mask, drawn[0].lam))
    assert torch.allclose(encoder[1].mask.mean((1, 2, 3)), drawn[0].lam)
    assert not torch.allclose(encoder[0].mask, encoder[1].mask)


def test_scores_are_labels_too() -> None:
    scores = F.one_hot(targets(), CLASSES).float()
    by_label, by_score = (_losses(_spread(build(amix())), scores=given) for given in (None, scores))
    for name, value in by_label.items():
        assert torch.allclose(value, by_score[name], atol=1e-6), name
    cutmix = {"type": "mmpretrain.CutMix", "alpha": 1.0}
    preprocessor = {
        "type": "mmpretrain.ClsDataPreprocessor",
        "num_classes": CLASSES,
        "batch_augments": {"augments": cutmix},
    }
    model = build(amix(data_preprocessor=preprocessor))
    data = model.data_preprocessor(labelled(), True)
    assert "gt_score" in data["data_samples"][0]
    assert all(value.isfinite() for value in model(**data, mode="loss").values())


def test_the_heads_own_loss_is_weighted_by_row() -> None:
    loss = {"type": "mmpretrain.LabelSmoothLoss", "label_smooth_val": 0.2, "num_classes": CLASSES}
    head = plain()["head"] | {"loss": loss}
    smooth, sharp = build(amix(head=head)), build(amix())
    sharp.load_state_dict(smooth.state_dict())
    found, plain_loss = _losses(smooth), _losses(sharp)
    assert all((found[key] - plain_loss[key]).abs() > 1e-6 for key in ("loss_clean", "loss_mix"))


# -- gradients -------------------------------------------------------------------------------------


def test_each_part_learns_from_its_own_losses_alone() -> None:
    model = _spread(build(amix(block_losses=ALL_LOSSES)))
    losses = _losses(model)
    of_encoder, of_block = _parts(losses)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    block = {name: p for name, p in named.items() if name.startswith("mix_block.")}
    encoder = {name: p for name, p in named.items() if name not in block}
    assert {name.split(".")[0] for name in encoder} == {"backbone", "head", "mixed_head"}
    for value, own, other in ((of_encoder, encoder, block), (of_block, block, encoder)):
        strange = torch.autograd.grad(
            value, list(other.values()), retain_graph=True, allow_unused=True
        )
        assert all(gradient is None for gradient in strange)
        expected = torch.autograd.grad(value, list(own.values()), retain_graph=True)
        for parameter, gradient in zip(own.values(), expected, strict=True):
            parameter.expected = gradient
    total(losses).backward()
    for name, parameter in named.items():
        assert torch.allclose(parameter.grad, parameter.expected, atol=1e-7), name
        assert parameter.grad.isfinite().all()
    assert block["mix_block.query.weight"].grad.abs().max() > 1e-6
    assert not any(p.requires_grad for p in model.momentum_encoder.parameters())


def test_gradients_are_those_of_the_transcription() -> None:
    ours, naive = (_spread(build(amix(block_losses=ALL_LOSSES))) for _ in range(2))
    total(_losses(ours)).backward()
    batch = labelled()
    losses = _naive(naive, batch["inputs"], targets())
    of_encoder, of_block = _parts(losses)
    block = list(naive.mix_block.parameters())
    for parameter, gradient in zip(
        block, torch.autograd.grad(of_block, block, retain_graph=True), strict=True
    ):
        parameter.grad = gradient
    rest = [p for name, p in naive.named_parameters() if not name.startswith("mix_block")]
    rest = [p for p in rest if p.requires_grad]
    for parameter, gradient in zip(rest, torch.autograd.grad(of_encoder, rest), strict=True):
        parameter.grad = gradient
    assert_close_gradients(ours, naive)


def test_autocast_reaches_every_parameter() -> None:
    model = _spread(build(amix(block_losses=ALL_LOSSES)))
    exact = _losses(_spread(build(amix(block_losses=ALL_LOSSES))))
    with torch.autocast("cpu", torch.bfloat16):
        losses = _losses(model)
    for name, value in exact.items():
        assert losses[name].dtype == torch.float32
        assert abs(losses[name] - value) < 0.05 * max(1.0, abs(value.item())), name
    total(losses).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name


# -- the momentum encoder --------------------------------------------------------------------------


def test_momentum_goes_from_its_start_to_one_on_half_a_cosine() -> None:
    model, steps = build(amix()), 4
    with run_length(steps):
        optimizer = sgd(model)
        for step in range(steps):
            before = model.momentum_encoder.module[0].conv1.weight.clone()
            current = model.backbone.conv1.weight.clone()
            loss = total(_losses(model, seed=step))
            after = model.momentum_encoder.module[0].conv1.weight
            weight = 0.001 * (torch.tensor(torch.pi * step / steps).cos() + 1) / 2
            expected = current if step == 0 else torch.lerp(before, current, weight)
            assert torch.allclose(after, expected, atol=1e-7), step
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert model.momentum_encoder.steps == steps
    with run_length(steps):
        before = model.momentum_encoder.module[0].conv1.weight.clone()
        _losses(model)
    assert torch.equal(model.momentum_encoder.module[0].conv1.weight, before), "momentum 1"


def test_it_moves_once_per_optimizer_step_and_remembers_no_batch() -> None:
    model = build(amix())
    moved: list[int] = []
    update = model.momentum_encoder.update_parameters
    model.momentum_encoder.update_parameters = lambda *args: (moved.append(step), update(*args))
    wrapper = OptimWrapper(sgd(model), accumulative_counts=3)
    wrapper.initialize_count_status(model, 0, 9)
    for step in range(9):
        trunk = nn.Sequential(model.backbone, model.neck, model.mixed_head)
        online = [buffer.clone() for buffer in trunk.buffers()]
        model.train_step(labelled(seed=step), wrapper)
        if moved[-1] == step:
            held = [buffer.clone() for buffer in model.momentum_encoder.module.buffers()]
            assert all(torch.equal(a, b) for a, b in zip(held, online, strict=True))
        now = model.momentum_encoder.module.buffers()
        assert all(torch.equal(a, b) for a, b in zip(held, now, strict=True)), "its passes"
        batches = model.backbone.bn1.num_batches_tracked
        assert batches == 2 * (step + 1), "the encoder saw clean images and mixtures"
    assert moved == [0, 3, 6]
    assert model.momentum_encoder.steps == 7, "the cosine goes along forward passes"


def test_evaluating_the_loss_moves_nothing() -> None:
    model = build(amix()).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    _losses(model)
    changed = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"random.step"}


def test_looking_at_mixtures_changes_nothing() -> None:
    model = build(amix())
    x = labelled()["inputs"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    encoder, block = model.render_mixtures([x], model.mixer([x], StepRandom(0)()))
    for record in (encoder, block):
        assert record.mask.shape == (8, 1, 16, 16) and not record.mask.requires_grad
        expected = record.mask * x + (1 - record.mask) * x[record.partner]
        assert torch.allclose(record.images, expected, atol=1e-6)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(p.requires_grad for p in model.mix_block.parameters())


# -- several devices -------------------------------------------------------------------------------


def _steady(model: Any) -> Any:
    """A model in which no row depends on the others, with mixtures of a known half of the batch each."""
    return freeze_norms(_spread(model))


def _drawn(size: int, half: int = 4) -> Any:
    """Stands in for the mixer: partners stay within a device's part of the batch."""
    model = build(amix())
    parts = [model.mixer([torch.zeros(half, 3, 4, 4)], StepRandom(seed)()) for seed in (5, 6)]

    def draw(views: list[Tensor], generator: torch.Generator) -> list:
        whole = []
        for records in zip(*parts, strict=True):
            first = records[0]._replace(lam=torch.linspace(0.1, 0.9, half))
            second = records[1]._replace(lam=torch.linspace(0.8, 0.3, half))
            if size == half:
                whole.append((first, second))
                continue
            whole.append(
                first._replace(
                    index=torch.cat([first.index, second.index + half]),
                    partner=torch.cat([first.partner, second.partner + half]),
                    lam=torch.cat([first.lam, second.lam]),
                )
            )
        return whole

    return draw


def _on_a_rank(rank: int) -> dict[str, Any]:
    with run_length(100):
        model = _steady(build(amix(block_losses=ALL_LOSSES)))
        draw = _drawn(4)
        model.mixer = lambda views, generator: [pair[rank] for pair in draw(views, generator)]
        wrapped = MMDistributedDataParallel(model, broadcast_buffers=False)
        batch = labelled()
        part = slice(4 * rank, 4 * rank + 4)
        losses = wrapped(batch["inputs"][part], batch["data_samples"][part], mode="loss")
        total(losses).backward()
        gradients = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}

        trained = build(amix())
        wrapper = OptimWrapper(sgd(trained, lr=0.01))
        wrapped = MMDistributedDataParallel(trained, broadcast_buffers=False)
        for step in range(3):
            wrapped.train_step(labelled(seed=10 * step + rank), wrapper)
        state = {n: p.detach() for n, p in trained.named_parameters()}
    return {
        "losses": {name: value.detach() for name, value in losses.items()},
        "gradients": gradients,
        "state": state,
    }


def test_two_devices_have_the_gradient_of_one_on_the_whole_batch() -> None:
    ranks = run_ranks(_on_a_rank)
    whole = _steady(build(amix(block_losses=ALL_LOSSES)))
    whole.mixer = _drawn(8)
    losses = _losses(whole)
    total(losses).backward()
    for name, value in losses.items():
        mean = torch.stack([rank["losses"][name] for rank in ranks]).mean()
        assert torch.allclose(mean, value, atol=1e-5), name
    compared = set()
    for name, parameter in whole.named_parameters():
        if parameter.requires_grad:
            for rank in ranks:
                scale = parameter.grad.abs().max().clamp_min(1e-4)
                difference = (rank["gradients"][name] - parameter.grad).abs().max()
                assert difference <= 1e-3 * scale, name
            compared.add(name.split(".")[0])
    assert compared == {"backbone", "head", "mixed_head", "mix_block"}
    one, other = (rank["state"] for rank in ranks)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block_losses": ()}, "block_losses is \\(\\) and must name one or more of ce, pbce, bce"),
        ({"block_losses": "ce"}, "block_losses is 'ce'"),
        ({"block_losses": ("nce",)}, "block_losses is \\('nce',\\)"),
        ({"temperature": 0.0}, "temperature is 0.0 and must be > 0"),
        ({"base_momentum": 1.5}, "base_momentum is 1.5 and must lie in \\[0, 1\\]"),
        ({"alpha": 0.0}, "alpha"),
        ({"predict_with": "both"}, "predict_with is 'both' and must be one of clean, mixed"),
        ({"head": None}, "head is a NoneType and must be a head that applies a loss"),
        (
            {
                "mixed_head": {
                    "type": "mmpretrain.ContrastiveHead",
                    "loss": dict(type="mmpretrain.CrossEntropyLoss"),
                }
            },
            "mixed_head is a ContrastiveHead",
        ),
        (
            {"mix_block": BLOCK | {"layer": "layer9"}},
            "'layer9' and ResNet_CIFAR has no such module",
        ),
    ],
)
def test_what_does_not_fit_is_refused_when_built(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(amix(**changes))


def test_batches_that_do_not_serve_are_refused() -> None:
    model = build(amix())
    with pytest.raises(ValueError, match="the batch has no labels"):
        model.loss(labelled()["inputs"], None)
    with pytest.raises(ValueError, match="at least 2 images"):
        _losses(model, batch=1)
    many = labelled()
    many["data_samples"][0].set_gt_label([0, 1])
    with pytest.raises(ValueError, match="8 images have 9 labels"):
        model(**many, mode="loss")
    scores = torch.eye(CLASSES)[targets()]
    with pytest.raises(ValueError, match="'pbce' compares two classes and the batch has scores"):
        _losses(build(amix(block_losses=("pbce",))), scores=scores)
    with run_length(0), pytest.raises(ValueError, match="max_iters"):
        _losses(build(amix()))


def test_a_vision_transformer_gives_tokens_for_maps() -> None:
    vit = {
        "type": "mmpretrain.VisionTransformer",
        "arch": {"embed_dims": 16, "num_layers": 3, "num_heads": 2, "feedforward_channels": 32},
        "img_size": 16,
        "patch_size": 4,
    }
    head = {
        "type": "mmpretrain.VisionTransformerClsHead",
        "num_classes": CLASSES,
        "in_channels": 16,
        "hidden_dim": 8,
    }
    block = BLOCK | {"in_channels": 16, "layer": "layers.1"}
    model = build(
        amix(backbone=vit, neck=None, head=head, mix_block=block, block_losses=ALL_LOSSES)
    )
    total(_losses(model)).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_a_step_counts_three_plain_ones() -> None:
    def operations(cfg: dict) -> int:
        model, batch = build(cfg), labelled(size=32)
        total(model(**batch, mode="loss")).backward()
        with FlopCounterMode(display=False) as counter:
            total(model(**batch, mode="loss")).backward()
        return counter.get_total_flops()

    narrow = backbone(stem_channels=WIDTH)
    ratio = operations(amix(backbone=narrow)) / operations(plain(backbone=narrow))
    assert 2.9 < ratio < 3.0  # 2.98 here, 2.95 at four times the width


def test_automix_trains_as_well() -> None:
    model = build(amix(mix_block={"type": "mixssl.MixBlock", "in_channels": 4 * WIDTH}))
    losses = _losses(model)
    assert losses.keys() == {"loss_clean", "loss_mix", "loss_block_ce", "loss_mask_mean"}
    total(losses).backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
