"""Features in the order of the data set, from a model that is afterwards as before, on one process and on two."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.runner import Runner
from mmpretrain.utils import register_all_modules
from support import tiny
from support.ddp import run_ranks
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mixssl.evaluation import extract_features, undisturbed
from mixssl.evaluation.features import pool
from mixssl.utils.errors import ConfigError

IMAGES = 37


def make_loader(pipeline: list[dict] | None = None, **changes: Any) -> DataLoader:
    """A part of the digits, of odd length so that two ranks can't share it evenly."""
    register_all_modules(init_default_scope=True)
    settings = {
        "batch_size": 8,
        "num_workers": 0,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
        "dataset": {
            "type": "mixssl.Digits",
            "indices": IMAGES,
            "pipeline": pipeline or [{"type": "PackInputs"}],
        },
    }
    return Runner.build_dataloader({**settings, **changes}, seed=0)


def one_by_one(model: nn.Module, loader: DataLoader) -> Tensor:
    """What ``extract_features`` must give for the backbone, image after image."""
    model = model.eval()
    rows = []
    with torch.no_grad():
        for i in range(len(loader.dataset)):
            image = loader.dataset[i]["inputs"][None].float()
            rows.append(model.backbone(image)[-1].mean((2, 3)))
    model.train()
    return torch.cat(rows)


@pytest.mark.parametrize("shuffle", [False, True])
def test_rows_are_in_the_order_of_the_data_set(shuffle: bool) -> None:
    loader = make_loader(sampler={"type": "DefaultSampler", "shuffle": shuffle})
    model = tiny.build(tiny.moco())
    found = extract_features(model, loader)
    assert found.features.dtype == torch.float32
    torch.testing.assert_close(found.features, one_by_one(model, loader), rtol=1e-5, atol=1e-5)
    assert found.labels is not None
    assert found.labels.tolist() == loader.dataset.get_gt_labels().tolist()


def test_projected_is_the_neck_s_output() -> None:
    loader, model = make_loader(), tiny.build(tiny.moco())
    found = extract_features(model, loader, "projected").features
    assert found.shape == (IMAGES, tiny.DIM)
    pooled = extract_features(model, loader).features
    expected = model.neck.mlp(pooled)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_classifier_gives_the_features_of_its_backbone() -> None:
    register_all_modules(init_default_scope=True)
    cfg = {
        "type": "ImageClassifier",
        "backbone": tiny.backbone(),
        "neck": {"type": "GlobalAveragePooling"},
        "head": {"type": "LinearClsHead", "num_classes": 10, "in_channels": tiny.WIDTH * 8},
    }
    model = tiny.build({**cfg, "type": "mmpretrain.ImageClassifier"})
    loader = make_loader()
    features = extract_features(model, loader).features
    torch.testing.assert_close(features, one_by_one(model, loader), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(features, extract_features(model, loader, "projected").features)


def test_a_transformer_gives_its_class_token_or_the_mean_of_its_patches() -> None:
    register_all_modules(init_default_scope=True)
    backbone = {
        "type": "mmpretrain.VisionTransformer",
        "arch": {"embed_dims": 8, "num_layers": 1, "num_heads": 2, "feedforward_channels": 16},
        "img_size": 16,
        "patch_size": 8,
        "out_type": "raw",
    }
    model = tiny.build(tiny.moco(backbone=backbone))
    loader = make_loader()
    image = loader.dataset[0]["inputs"][None].float()
    tokens = model.eval().backbone(image)[-1].detach()
    assert tokens.shape == (1, 5, 8)
    for out_type, name, expected in (
        ("raw", "cls", tokens[:, 0]),
        ("raw", "avg", tokens[:, 1:].mean(1)),
        ("cls_token", "cls", tokens[:, 0]),
        ("cls_token", "avg", tokens[:, 1:].mean(1)),
    ):
        model.backbone.out_type = out_type
        found = extract_features(model, loader, tokens=name).features[:1]
        assert model.backbone.out_type == out_type
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_pooling_by_hand_and_its_errors() -> None:
    maps = torch.arange(8.0).reshape(1, 2, 2, 2)
    assert pool((torch.zeros(1), maps)).tolist() == [[1.5, 5.5]]
    assert pool(torch.tensor([[1.0, 2.0]])).tolist() == [[1.0, 2.0]]
    tokens = torch.tensor([[[1.0], [2.0], [4.0]]])
    assert pool(tokens, "avg", extra_tokens=0).tolist() == [[pytest.approx(7 / 3)]]
    with pytest.raises(ValueError, match="no class token"):
        pool(tokens, "cls", extra_tokens=0)
    with pytest.raises(ValueError, match="tokens is 'max'"):
        pool(tokens, "max")
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        pool(torch.zeros(3))


def random_states() -> tuple[object, ...]:
    numpy = np.random.get_state()  # noqa: NPY002
    return random.getstate(), numpy[1].tolist(), numpy[2:], torch.get_rng_state().tolist()


def test_model_and_random_states_are_afterwards_as_before() -> None:
    # A pipeline that draws from all three generators in this process.
    loader = make_loader(
        [
            {"type": "RandomCrop", "crop_size": 12},
            {"type": "RandomGrayscale", "prob": 0.5, "keep_channels": True},
            {"type": "mixssl.GaussianNoise", "std": 5.0},
            {"type": "PackInputs"},
        ]
    )
    model = tiny.build(tiny.moco())
    model.backbone.layer1.eval()
    modes = {name: module.training for name, module in model.named_modules()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    before = random_states()
    extract_features(model, loader)
    assert random_states() == before
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(value.equal(state[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_modes_come_back_after_an_error() -> None:
    model = tiny.build(tiny.moco())
    inside = []

    def fail() -> None:
        with undisturbed(model):
            inside.append(model.backbone.training)
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert inside == [False]
    assert all(module.training for module in model.backbone.modules())
    assert torch.is_grad_enabled()


def test_without_labels_there_are_none() -> None:
    loader, model = make_loader(), tiny.build(tiny.moco())
    loader.dataset.pipeline.transforms.insert(0, lambda r: {k: r[k] for k in ("img", "img_shape")})
    found = extract_features(model, loader)
    assert found.labels is None
    assert found.features.shape == (IMAGES, tiny.WIDTH * 8)


def _spoilt(sample: dict, spoil: bool) -> dict:
    """A sample in floating point, one pixel of which may be no number."""
    image = sample["inputs"].float()
    image[0, 0, 0] = float("nan") if spoil else 0.0
    return {**sample, "inputs": image}


class TestBadInput:
    def test_unknown_feature(self) -> None:
        with pytest.raises(ValueError, match="'backbone', 'projected'"):
            extract_features(tiny.build(tiny.moco()), make_loader(), "head")

    def test_no_neck(self) -> None:
        model = tiny.build(tiny.moco())
        model.neck = None
        with pytest.raises(ValueError, match="MixMoCo has no neck"):
            extract_features(model, make_loader(), "projected")

    def test_two_views(self) -> None:
        two = [{"type": "MultiView", "num_views": 2, "transforms": [[]]}, {"type": "PackInputs"}]
        with pytest.raises(ValueError, match="2 views per image"):
            extract_features(tiny.build(tiny.moco()), make_loader(two))

    def test_images_left_out(self) -> None:
        with pytest.raises(ValueError, match="drop_last=False"):
            extract_features(tiny.build(tiny.moco()), make_loader(drop_last=True))

    def test_pixels_that_are_no_numbers(self) -> None:
        loader = make_loader()
        pipeline = loader.dataset.pipeline
        loader.dataset.pipeline = lambda info: _spoilt(pipeline(info), info["sample_idx"] == 3)
        with pytest.raises(ConfigError, match="pixels of .* are NaN or infinite: mend"):
            extract_features(tiny.build(tiny.moco()), loader)

    def test_order_that_nobody_knows(self) -> None:
        loader = DataLoader(make_loader().dataset, shuffle=True)
        with pytest.raises(ValueError, match="does not tell"):
            extract_features(tiny.build(tiny.moco()), loader)


def rank_features(rank: int) -> list[dict[str, Tensor]]:
    """With a sampler that fills the ranks up, and with one that leaves them uneven."""
    model = tiny.build(tiny.moco(), seed=0)
    # Between two steps the ranks' statistics differ; rank 0's count, and each keeps its own.
    model.backbone.bn1.running_mean.fill_(float(rank))
    results = []
    for round_up in (True, False):
        sampler = {"type": "DefaultSampler", "shuffle": False, "round_up": round_up}
        found = extract_features(model, make_loader(sampler=sampler))
        assert found.labels is not None
        own = model.backbone.bn1.running_mean.clone()
        results.append({"features": found.features, "labels": found.labels, "own": own})
    return results


def test_two_ranks_give_what_one_process_gives() -> None:
    loader, model = make_loader(), tiny.build(tiny.moco(), seed=0)
    model.backbone.bn1.running_mean.fill_(0.0)
    alone = extract_features(model, loader)
    first, second = run_ranks(rank_features)
    assert alone.labels is not None
    for rank, results in enumerate((first, second)):
        for result in results:
            torch.testing.assert_close(result["features"], alone.features, rtol=1e-5, atol=1e-5)
            assert result["labels"].equal(alone.labels)
            assert (result["own"] == rank).all()
    assert first[0]["features"].equal(second[0]["features"])
