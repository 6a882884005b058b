"""Clusters are started before training, survive a stop, and mean something; what can't work is refused."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import RepeatDataset
from mmengine.runner import Runner
from sklearn.metrics import normalized_mutual_info_score
from support import tiny
from support.ddp import run_ranks
from torch import Tensor
from torch.nn import functional as F

from mixssl.engine.hooks import ODCHook
from mixssl.evaluation import extract_features
from mixssl.utils.errors import ConfigError

IMAGES, K = 96, 6
DIGITS = "configs/_base_/datasets/digits.py"
_runs = count()


def clusters(**changes: Any) -> dict:
    settings = {"num_images": IMAGES, "feat_dim": tiny.DIM, "num_clusters": K, "min_size": 4}
    return {"type": "mixssl.ODC", "alone": True, **settings, **changes}


def hook(**changes: Any) -> dict:
    return {"type": "mixssl.ODCHook", "pipeline": [{"type": "PackInputs"}], **changes}


def make_runner(
    work_dir: Path,
    hooks: list[dict] | None = None,
    images: int = IMAGES,
    batch_size: int = 16,
    model: dict | None = None,
    dataset: dict | None = None,
    **changes: Any,
) -> Runner:
    """A MoCo with clusters on a few digits."""
    train = Config.fromfile(DIGITS).train_dataloader.to_dict()
    train.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
    train["dataset"]["indices"] = images
    changed = dataset or {}
    train["dataset"] = changed if "dataset" in changed else train["dataset"] | changed
    cfg = tiny.moco(**({"clusters": clusters()} if model is None else model))
    cfg["data_preprocessor"].update(mean=[79.7] * 3, std=[90.5] * 3)
    settings = {
        "model": cfg,
        "train_dataloader": train,
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}},
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1}},
        "randomness": {"seed": 0},
        "log_level": "WARNING",
    }
    return Runner(
        work_dir=str(work_dir),
        custom_hooks=[hook()] if hooks is None else hooks,
        default_scope="mmpretrain",
        experiment_name=f"odc_{next(_runs)}",
        **{**settings, **changes},
    )


def prepared(runner: Runner) -> Runner:
    """With the training loop built, as where hooks are called before training."""
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    runner._init_model_weights()
    return runner


def memory_of(runner: Runner) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in runner.model.clusters.state_dict().items()}


def test_the_memory_is_filled_by_kmeans_and_nothing_else_changes(tmp_path: Path) -> None:
    runner = prepared(make_runner(tmp_path))
    model = runner.model
    before = {name: v.clone() for name, v in model.state_dict().items() if "clusters" not in name}
    state = torch.get_rng_state()
    ODCHook(pipeline=[{"type": "PackInputs"}]).before_train(runner)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training and all(torch.equal(model.state_dict()[n], v) for n, v in before.items())
    assert model.clusters.is_filled and model.clusters.sizes.min() >= 4
    plain = Config.fromfile(DIGITS).knn_bank.to_dict()
    plain["dataset"]["indices"] = IMAGES
    expected = extract_features(model, Runner.build_dataloader(plain, seed=0), "projected").features
    assert torch.allclose(model.clusters.features, F.normalize(expected, dim=1), atol=1e-6)
    own = model.clusters.centroids[model.clusters.labels]
    scatter = (model.clusters.features - own).square().sum()
    total = (model.clusters.features - model.clusters.features.mean(dim=0)).square().sum()
    assert scatter < 0.7 * total


def test_the_pipeline_is_that_of_the_bank_where_none_is_given(tmp_path: Path) -> None:
    cfg = Config({"knn_bank": Config.fromfile(DIGITS).knn_bank.to_dict()})
    found = []
    for settings in ({"pipeline": [{"type": "PackInputs"}]}, {}):
        runner = prepared(make_runner(tmp_path, cfg=cfg))
        ODCHook(**settings).before_train(runner)
        found.append(runner.model.clusters.features)
    assert torch.equal(*found)


def test_images_held_in_memory_start_the_same_clusters(tmp_path: Path) -> None:
    found = []
    for wrap in (False, True):
        bank = Config.fromfile(DIGITS).knn_bank.to_dict()
        changes: dict[str, Any] = {}
        if wrap:
            bank["dataset"] = {"type": "mixssl.InMemory", "dataset": bank["dataset"]}
            inner = Config.fromfile(DIGITS).train_dataloader.dataset.to_dict() | {"indices": IMAGES}
            changes = {"dataset": {"type": "mixssl.InMemory", "dataset": inner}}
        runner = prepared(make_runner(tmp_path, cfg=Config({"knn_bank": bank}), **changes))
        ODCHook().before_train(runner)
        found.append(runner.model.clusters.labels)
    assert torch.equal(*found)


def test_training_moves_the_memory_once_per_step(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, train_cfg={"by_epoch": True, "max_epochs": 2})
    runner.train()
    found = runner.model.clusters
    assert int(found.random.step) == 1 + 2 * (IMAGES // 16), "the start, and each step"
    assert torch.equal(found.sizes, found.labels.bincount(minlength=K))
    losses, _ = runner.message_hub.get_scalar("train/loss_cluster").data
    assert torch.tensor(losses).isfinite().all()
    lines = (
        (Path(runner.log_dir) / "vis_data" / f"{runner.timestamp}.json").read_text().splitlines()
    )
    rows = [row for row in map(json.loads, lines) if "odc_changed" in row]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(0 < row["odc_changed"] <= 1 and 0 <= row["odc_smallest"] <= 16 for row in rows), rows


def test_a_resumed_run_goes_on_with_its_memory(tmp_path: Path) -> None:
    hooks = [hook(), {"type": "mixssl.ExactResumeHook"}]
    whole = make_runner(tmp_path, hooks)
    whole.train()
    resumed = make_runner(
        tmp_path / "b", hooks, load_from=str(tmp_path / "epoch_1.pth"), resume=True
    )
    resumed.train()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


@pytest.mark.slow
def test_clusters_of_digits_are_more_than_chance(tmp_path: Path) -> None:
    """After six epochs, in which the first ones spoil what k-means found on features that then moved fast."""
    memory = clusters(num_images=1297, num_clusters=20, min_size=20, feat_dim=32)
    model = {"clusters": memory, "feat_dim": 32, "queue_len": 512, "momentum": 0.01}
    model["backbone"] = tiny.backbone(base_channels=8, stem_channels=8)
    model["neck"] = tiny.moco()["neck"] | {
        "in_channels": 64,
        "hid_channels": 64,
        "out_channels": 32,
    }
    runner = make_runner(
        tmp_path,
        images=1297,
        batch_size=32,
        model=model,
        train_cfg={"by_epoch": True, "max_epochs": 6},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.02, "momentum": 0.9}},
    )
    runner.train()
    labels = runner.train_dataloader.dataset
    truth = [labels.get_data_info(i)["gt_label"] for i in range(len(labels))]
    found = runner.model.clusters.labels
    shuffled = found[torch.randperm(len(found), generator=torch.Generator().manual_seed(0))]
    score = normalized_mutual_info_score(truth, found.numpy())
    chance = normalized_mutual_info_score(truth, shuffled.numpy())
    chosen = torch.tensor(truth)
    majority = sum(int(chosen[found == k].bincount().max()) for k in range(20)) / len(found)
    assert score > 0.15 > 0.05 > chance
    assert majority > 0.25, "a digit is a tenth of the images"


def _started(rank: int, folder: str) -> dict[str, Tensor]:
    runner = prepared(make_runner(Path(folder) / str(rank)))
    torch.manual_seed(0)
    runner.model.init_weights()
    ODCHook(pipeline=[{"type": "PackInputs"}]).before_train(runner)
    return memory_of(runner)


def test_two_ranks_start_alike(tmp_path: Path) -> None:
    one, two = run_ranks(_started, str(tmp_path))
    alone = _started(0, str(tmp_path))
    for name in ("labels", "sizes", "features", "centroids"):
        assert torch.equal(one[name], two[name])
        assert torch.allclose(one[name].float(), alone[name].float(), atol=1e-5)


def test_a_model_without_clusters_is_left_alone(tmp_path: Path) -> None:
    states = []
    for hooks in ([], [hook(pipeline=None)]):
        runner = make_runner(
            tmp_path, hooks, model={}, train_cfg={"by_epoch": True, "max_epochs": 1}
        )
        runner.train()
        states.append(runner.model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": 95}, "has 95 images and model.clusters.num_images is 96: set .*num_images=95"),
        ({"hooks": [hook(pipeline=None)]}, "has no knn_bank to take it from: give the transforms"),
        ({"dataset": {"pipeline": [{"type": "PackInputs", "meta_keys": ()}]}}, "lack sample_idx.*meta_keys"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_training(
    tmp_path: Path, changes: dict, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        make_runner(tmp_path, **changes).train()
    assert "\n" not in str(refusal.value)


def test_wrapped_data_sets_are_refused(tmp_path: Path) -> None:
    runner = prepared(make_runner(tmp_path))
    dataset = runner.train_dataloader.dataset
    runner.train_loop.dataloader = Runner.build_dataloader(
        {
            "dataset": RepeatDataset(dataset, 2),
            "batch_size": 16,
            "sampler": {"type": "DefaultSampler"},
        }
    )
    with pytest.raises(ConfigError, match="training set is a RepeatDataset.*without a wrapper"):
        ODCHook().before_train(runner)


@pytest.mark.parametrize(
    "settings", [{"batch_size": 0}, {"num_init": 0}, {"seed": -1}], ids=lambda value: str(value)
)
def test_settings_out_of_range_are_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match=f"ODCHook: {next(iter(settings))} is"):
        ODCHook(**settings)
