"""Clusters beside a method: who learns from them, what is remembered, and when."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from support.amix import amix
from support.clusters import CLUSTERS, clusters, samples, start
from support.ddp import run_ranks
from support.methods import barlowtwins, byol, simclr, simsiam
from support.methods_more import METHODS as MORE
from support.methods_more import run_length
from support.tiny import DIM, backbone, build, moco, preprocessor, sgd, total, views
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mixssl.mixing import DeferredMixture, blend
from mixssl.mixing.ops import rows_mixture
from mixssl.models.memory import ODC
from mixssl.structures import MixedView, View

METHODS = {
    "moco": moco,
    "simclr": simclr,
    "byol": byol,
    "simsiam": simsiam,
    "barlowtwins": barlowtwins,
    "mocov3": MORE["MixMoCoV3"],
    "densecl": MORE["MixDenseCL"],
    "wmse": MORE["MixWMSE"],
}
HEAD = {"type": "mixssl.AMixHead", "block": ("cluster", "two_way")}
CROSS = {"type": "mixssl.UnMixHead"}


@pytest.fixture(autouse=True)
def _known_length():
    with run_length():
        yield


def _model(cfg: dict, seed: int = 0) -> Any:
    model = build(cfg, seed)
    start(model)
    return model


def _data(model: Any, seed: int = 0, batch: int = 8) -> dict:
    places = torch.randperm(48, generator=torch.Generator().manual_seed(seed))[:batch].tolist()
    return model.data_preprocessor(
        {"inputs": views(batch, seed=seed), "data_samples": samples(places)}, True
    )


def _places(data: dict) -> Tensor:
    return torch.tensor([sample.get("sample_idx") for sample in data["data_samples"]])


@pytest.mark.parametrize("name", METHODS)
def test_clean_images_are_classified_and_remembered(name: str) -> None:
    model = _model(METHODS[name](clusters=clusters(feat_dim=4 if name == "wmse" else DIM)))
    data, memory = _data(model), model.clusters
    index, twin = _places(data), copy.deepcopy(model)
    before = {key: value.clone() for key, value in memory.state_dict().items()}
    losses = model(**data, mode="loss")
    assert "loss_cluster" in losses and len(losses) > 1
    embedding = twin.encode_online([View(0, data["inputs"][0])])
    embedding = next(value for key, value in embedding.items() if key == (0, "image"))
    if name not in ("simclr", "wmse"):  # there the views are normalised together
        labels, unit = before["labels"][index], F.normalize(embedding, dim=1)
        scores = memory.classifier(unit) / memory.temperature
        own = -scores.log_softmax(dim=1)[range(8), labels]
        expected = (own * memory.weights()[labels]).mean()
        torch.testing.assert_close(losses["loss_cluster"], expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(memory.state_dict()[key], value) for key, value in before.items())
    optimizer = sgd(model)
    total(losses).backward()
    assert memory.classifier.weight.grad.abs().sum() > 0
    optimizer.step()
    changed = (memory.features != before["features"]).any(dim=1)
    assert set(changed.nonzero().squeeze(1).tolist()) == set(index.tolist())
    if name not in ("simclr", "wmse"):
        moved = F.normalize(before["features"][index] + unit.detach(), dim=1)
        torch.testing.assert_close(memory.features[index], moved, rtol=1e-3, atol=1e-4)


def test_the_encoder_learns_from_the_clusters() -> None:
    model = _model(moco(clusters=clusters()))
    loss = model(**_data(model), mode="loss")["loss_cluster"]
    loss.backward()
    for part in (model.backbone, model.neck, model.clusters):
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())


def test_detached_clusters_teach_the_classifier_alone() -> None:
    model = _model(moco(clusters=clusters(detach=True)))
    model(**_data(model), mode="loss")["loss_cluster"].backward()
    assert model.clusters.classifier.weight.grad.abs().sum() > 0
    encoder = [*model.backbone.parameters(), *model.neck.parameters()]
    assert all(p.grad is None for p in encoder)
    block = _model(amix(moco, mix_head=HEAD, clusters=clusters(detach=True)))
    losses = block(**_data(block), mode="loss")
    losses["loss_block_cluster"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in block.mix_block.parameters())


def test_a_mixture_that_is_switched_off_takes_its_clusters_along() -> None:
    ours = build(amix(moco, mix_head=HEAD, clusters=clusters(alone=False)))
    assert ours.clusters is not None
    off = amix(moco, mix_head=HEAD, clusters=clusters(alone=False)) | {
        "data_preprocessor": preprocessor()
    }
    model, parent = build(off), build(moco("mmpretrain.MoCo"))
    assert model.clusters is None and model.state_dict().keys() == parent.state_dict().keys()
    assert model(**_data(model), mode="loss").keys() == {"loss_clean"}


def test_without_clusters_there_is_nothing_of_them() -> None:
    model = build(moco())
    assert model.clusters is None and not any("clusters" in key for key in model.state_dict())


def test_micro_batches_are_written_together_at_the_step() -> None:
    model = _model(moco(clusters=clusters()))
    optimizer = sgd(model)
    before, written = model.clusters.features.clone(), set()
    for seed in range(2):
        data = _data(model, seed)
        total(model(**data, mode="loss")).backward()
        written |= set(_places(data).tolist())
        assert torch.equal(model.clusters.features, before)
    optimizer.step()
    changed = (model.clusters.features != before).any(dim=1)
    assert set(changed.nonzero().squeeze(1).tolist()) == written
    assert int(model.clusters.random.step) == 2, "the start, and one step"


def test_in_evaluation_nothing_is_remembered() -> None:
    model = _model(moco(clusters=clusters())).eval()
    model(**_data(model), mode="loss")
    before = model.clusters.features.clone()
    model.after_optimizer_step()
    assert torch.equal(model.clusters.features, before)


@pytest.mark.parametrize("name", ["moco", "simclr", "byol", "simsiam"])
def test_amix_c_teaches_the_block_by_clusters_and_nobody_else(name: str) -> None:
    model = _model(amix(METHODS[name], mix_head=HEAD, clusters=clusters()))
    data = _data(model)
    optimizer = sgd(model)
    total(model(**data, mode="loss")).backward()
    optimizer.step()
    data = _data(model, 1)
    losses = model(**data, mode="loss")
    assert {"loss_cluster", "loss_mix", "loss_block_cluster", "loss_block_two_way"} <= set(losses)
    assert "loss_block" not in losses
    block = [*model.mix_block.parameters()]
    rest = [p for p in model.parameters() if p.requires_grad and all(p is not q for q in block)]
    for key, teaches in (("loss_block_cluster", block), ("loss_cluster", rest)):
        found = torch.autograd.grad(
            losses[key], [*block, *rest], retain_graph=True, allow_unused=True
        )
        reached = [g is not None and bool((g != 0).any()) for g in found]
        assert any(reached[: len(block)]) == (teaches is block), key
        assert any(reached[len(block) :]) == (teaches is rest), key


def test_the_blocks_cluster_loss_is_its_transcription() -> None:
    model = _model(amix(moco, block={"dropout": 0.0}, mix_head=HEAD, clusters=clusters()))
    data, memory = _data(model), model.clusters
    labels, weights = memory.labels[_places(data)], memory.weights()
    losses = model(**data, mode="loss")
    mixed = model.render_mixtures(data["inputs"], data["mixtures"])[1]
    backbone_k, neck_k = model.encoder_k.module
    unit = F.normalize(neck_k(backbone_k(mixed.images))[0], dim=1)
    scores = (memory.classifier(unit) / memory.temperature).log_softmax(dim=1)
    expected = 0.0
    for row in range(8):
        for image, share in ((row, mixed.lam[row]), (mixed.partner[row], 1 - mixed.lam[row])):
            expected -= share * weights[labels[image]] * scores[row, labels[image]] / 8
    torch.testing.assert_close(losses["loss_block_cluster"], expected, rtol=1e-4, atol=1e-5)


def test_the_choice_between_two_clusters_is_its_transcription() -> None:
    head = HEAD | {"block": ("cluster_two_way",)}
    model = _model(amix(moco, block={"dropout": 0.0}, mix_head=head, clusters=clusters()))
    data, memory = _data(model), model.clusters
    labels = memory.labels[_places(data)]
    losses = model(**data, mode="loss")
    assert {key for key in losses if key.startswith("loss_block")} == {"loss_block_cluster_two_way"}
    mixed = model.render_mixtures(data["inputs"], data["mixtures"])[1]
    backbone_k, neck_k = model.encoder_k.module
    unit = F.normalize(neck_k(backbone_k(mixed.images))[0], dim=1)
    scores = memory.classifier(unit) / memory.temperature
    expected = 0.0
    for row, lam in enumerate(mixed.lam):
        pair = scores[row, [labels[row], labels[mixed.partner[row]]]].log_softmax(dim=0)
        expected -= (lam * pair[0] + (1 - lam) * pair[1]) / 8
    torch.testing.assert_close(losses["loss_block_cluster_two_way"], expected, rtol=1e-4, atol=1e-5)


WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2"}


class _Asked(TorchDispatchMode):
    """Notes what on a device would make the host wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket.__name__ in {
            "_local_scalar_dense",
            "nonzero",
            "masked_select",
            "_unique2",
        }:
            self.found.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("mixer", [None, "InterIntra", "ClusterPuzzleMix"])
def test_a_step_waits_for_nothing_but_the_flag_of_the_last(mixer: str | None) -> None:
    """Compared with the same step without clusters; the one question is answered by the host's copy of a flag."""
    twins = {
        None: (None, None),
        "InterIntra": (None, {"type": "mixssl.InterIntra"}),
        "ClusterPuzzleMix": (
            {"type": "mixssl.PuzzleMix", "blocks": (2, 4)},
            {"type": "mixssl.ClusterPuzzleMix", "blocks": (2, 4)},
        ),
    }
    plain, mixed = map(preprocessor, twins[mixer])
    asked = []
    for changes in (
        {"data_preprocessor": plain},
        {"data_preprocessor": mixed, "clusters": clusters(centroid_interval=1)},
    ):
        model = _model(moco(**changes, mix_head=CROSS))
        optimizer = sgd(model)
        for seed in range(3):
            with _Asked() as asking:
                data = _data(model, seed)
                total(model(**data, mode="loss")).backward()
                optimizer.step()
        asked.append(asking.found)
    assert asked[1] == [*asked[0], "_local_scalar_dense"], asked


def test_mixtures_can_teach_the_encoder_by_clusters_too() -> None:
    head = HEAD | {"encoder": ("contrast", "cluster")}
    model = _model(amix(moco, mix_head=head, clusters=clusters()))
    losses = model(**_data(model), mode="loss")
    losses["loss_mix_cluster"].backward()
    assert model.clusters.classifier.weight.grad.abs().sum() > 0
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.backbone.parameters())
    assert all(p.grad is None for p in model.mix_block.parameters())


@pytest.mark.parametrize("name", ["moco", "simclr", "mocov3"])
def test_salience_is_the_gradient_of_the_cluster_loss(name: str) -> None:
    model = _model(METHODS[name](clusters=clusters()))
    data = _data(model)
    _, labels, saliency = model.parts[0].look_up(model, data["data_samples"])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = saliency(data["inputs"][0])
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    assert all(p.grad is None for p in model.parameters())
    assert found.shape == (8, 16, 16) and not found.requires_grad
    pixels = data["inputs"][0].clone().requires_grad_()
    twin = copy.deepcopy(model)
    if name == "moco":
        twin.backbone, twin.neck = twin.encoder_k.module
    if name == "mocov3":
        twin.backbone, twin.neck = twin.momentum_encoder.module
    unit = F.normalize(next(iter(twin.encode_online([View(0, pixels)]).values())), dim=1)
    scores = twin.clusters.classifier(unit) / twin.clusters.temperature
    assert torch.equal(labels, model.clusters.labels[_places(data)])
    F.cross_entropy(scores, labels, reduction="sum").backward()
    torch.testing.assert_close(found, pixels.grad.square().mean(1).sqrt(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("mixer", ["InterIntra", "ClusterPuzzleMix"])
def test_mixtures_by_clusters_train(mixer: str) -> None:
    settings = {"blocks": (2, 4)} if mixer == "ClusterPuzzleMix" else {}
    mixed = preprocessor({"type": f"mixssl.{mixer}"} | settings)
    model = _model(moco(clusters=clusters(), data_preprocessor=mixed, mix_head=CROSS))
    optimizer = sgd(model)
    for seed in range(2):
        losses = model(**_data(model, seed), mode="loss")
        assert losses.keys() == {"loss_clean", "loss_mix", "loss_cluster"}
        optimizer.zero_grad()
        total(losses).backward()
        assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
        optimizer.step()


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (
            moco(data_preprocessor=preprocessor({"type": "mixssl.InterIntra"}), mix_head=CROSS),
            "InterIntra asks for clusters of the images and MixMoCo has none: set clusters",
        ),
        (
            amix(moco, mix_head=HEAD),
            "AMixHead needs a method with clusters and MixMoCo offers.*: set clusters on the model",
        ),
        (
            MORE["MixSwAV"](clusters=clusters()),
            "clusters of MixSwAV is set, and it has clusters of its own.*: choose another method",
        ),
    ],
)
def test_what_has_no_clusters_is_refused(cfg: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        build(cfg)
    assert "\n" not in str(refusal.value)


def test_batches_that_cannot_be_looked_up_are_refused() -> None:
    model = build(moco(clusters=clusters()))
    with pytest.raises(ValueError, match="memory of ODC is empty"):
        model(**_data(model), mode="loss")
    start(model)
    with pytest.raises(ValueError, match="data_samples are missing"):
        model(inputs=views(8), mode="loss")
    model.clusters = ODC(48, 5, CLUSTERS, min_size=2)
    start(model)
    with pytest.raises(ValueError, match="embeddings of 8 numbers and feat_dim is 5: set feat_dim"):
        model(**_data(model), mode="loss")


HALF = 4
GROUPS = {"type": "GN", "num_groups": 2}


def _neighbours(images: Tensor, labels: Tensor, saliency: Any) -> MixedView:
    """Pairs neighbours, which no half of the batch parts: blended where both are of one cluster, else as they are."""
    partner = torch.arange(len(images)) ^ 1
    lam = torch.where(labels == labels[partner], 0.6, 1.0)
    weight = saliency(images).mean(dim=(1, 2)).sigmoid() * lam
    return rows_mixture(
        blend(images, images[partner], weight), 0, partner, weight, torch.ones(1, 1, 1, 1)
    )


def _steps(rank: int, ranks: list[int], wrap: bool) -> dict[str, Tensor]:
    """Two steps of the rows that these ranks hold; without batch normalisation a batch is the sum of its halves."""
    mixer = preprocessor({"type": "mixssl.InterIntra", "p_intra": 1.0})
    cfg = moco(
        backbone=backbone(norm_cfg=GROUPS),
        clusters=clusters(centroid_interval=1),
        data_preprocessor=mixer,
        mix_head=CROSS,
    )
    model = _model(cfg)
    called = MMDistributedDataParallel(model, broadcast_buffers=False) if wrap else model
    optimizer = sgd(model, lr=0.01)
    for step in range(2):
        places = torch.randperm(48, generator=torch.Generator().manual_seed(step))[: 2 * HALF]
        both = views(2 * HALF, seed=step)
        rows = torch.cat([torch.arange(HALF * r, HALF * (r + 1)) for r in ranks])
        inputs = [view[rows] for view in both]
        mixtures = [DeferredMixture(partial(_neighbours, inputs[0]))]
        losses = called(
            inputs=inputs,
            data_samples=samples(places[rows].tolist()),
            mode="loss",
            mixtures=mixtures,
        )
        optimizer.zero_grad()
        total(losses).backward()
        optimizer.step()
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return grads | {f"!{name}": value for name, value in model.clusters.state_dict().items()}


def _rank(rank: int) -> dict[str, Tensor]:
    return _steps(rank, [rank], wrap=True)


def test_two_ranks_learn_and_remember_what_one_process_does() -> None:
    whole = _steps(0, [0, 1], wrap=False)
    one, two = run_ranks(_rank)
    assert any("classifier" in key for key in whole)
    for key, value in whole.items():
        assert torch.equal(one[key], two[key]), key
        torch.testing.assert_close(one[key], value, rtol=2e-3, atol=1e-4, msg=key)
