"""What is measured of a training step is what happens in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain.models import BYOL, MoCo
from mmpretrain.utils import register_all_modules
from support.methods import byol
from support.methods_more import run_length
from support.tiny import backbone, moco, preprocessor
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mixssl.cli.benchmark import (
    TrainStep,
    _Allocated,
    as_mmpretrain,
    image_size,
    peak_bytes,
    random_views,
    view_sizes,
)
from mixssl.cli.phases import Phases
from mixssl.cli.without_mixture import without_mixture

UNMIX = {"type": "mixssl.UnMix", "p_global": 1.0}
SGD = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    register_all_modules(init_default_scope=False)
    with run_length(), DefaultScope.overwrite_default_scope("mmpretrain"):
        yield


def _cfg(model: dict, **changes: Any) -> Config:
    if "data_preprocessor" in model:  # random images are bytes
        model["data_preprocessor"] |= {"mean": [128.0] * 3, "std": [64.0] * 3}
    return Config({"model": model, "optim_wrapper": SGD, **changes})


def _step(**changes: Any) -> TrainStep:
    step = TrainStep(_cfg(moco(mixer=UNMIX), **changes), CPU)
    step.take(random_views(8, [16, 16]))
    return step


def test_memory_is_followed_from_its_making_to_its_end() -> None:
    """A thousand numbers of four bytes are 4000."""
    x = torch.ones(1000)
    with _Allocated() as found:
        y = x + 1
        y.mul_(2)
        z = y[:10].view(2, 5)
        assert (found.now, found.peak) == (4000, 4000), (
            "views and what is written in place are free"
        )
        (y + x).sum()
        assert found.now == 4000 and found.peak == 8004
        del y
        assert found.now == 4000, "a view keeps it"
        del z
    assert found.now == 0


def test_what_autograd_keeps_counts_until_the_backward_pass_is_through() -> None:
    x = torch.ones(1000, requires_grad=True)
    with _Allocated() as found:
        out = x.exp().sin().exp().sum()
        kept = found.now
        assert kept == 8004, "what both exp put out, and the sum"
        out.backward()
        x.grad = None
    assert found.peak >= kept + 4000 and found.now <= 8


def test_peak_is_what_is_held_and_what_is_allocated() -> None:
    step = _step()
    parameters = sum(p.numel() for p in step.model.parameters() if p.requires_grad) * 4
    held = sum(tensor.untyped_storage().nbytes() for tensor in step.held())
    # Weights, the optimizer's momentum, the momentum encoder; gradients are made in the step.
    assert held >= 3 * parameters
    assert peak_bytes(step, random_views(8, [16, 16])) > held + parameters


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_mixture_needs_as_much_memory_as_one_more_view(symmetric: bool) -> None:
    """Half as much again, or twice: nothing else is kept."""
    found = []
    cfg = _cfg(moco(mixer=UNMIX, symmetric=symmetric))
    for config in (cfg, without_mixture(cfg)):
        step, images = TrainStep(config, CPU), random_views(16, [32, 32])
        step.take(images)
        found.append(peak_bytes(step, images))
    assert 1.3 < found[0] / found[1] < (1.5 if symmetric else 1.9)


def test_blocks_computed_twice_need_less_memory() -> None:
    images, peaks = random_views(16, [32, 32]), []
    narrow = moco(mixer=UNMIX, backbone=backbone(stem_channels=4))
    for options in ({"checkpoint_backbone": True}, {}):
        step = TrainStep(_cfg(narrow | options), CPU)
        step.take(images)
        peaks.append(peak_bytes(step, images))
    assert peaks[0] < 0.7 * peaks[1]


def test_checkpoints_are_followed_too() -> None:
    x = torch.ones(1000, requires_grad=True)

    def chain(value: Tensor) -> Tensor:
        return value.exp().sin().exp().sin().exp()

    peaks = []
    for run in (lambda: chain(chain(x)), lambda: checkpoint(chain, chain(x), use_reentrant=False)):
        with _Allocated() as found:
            run().sum()
        peaks.append(found.peak)
    assert peaks[1] < peaks[0]


def test_phases_add_up_and_each_has_its_own() -> None:
    step = _step()
    phases, images = Phases(step), random_views(8, [16, 16])
    encode = step.model.backbone.forward
    step.model.backbone.forward = lambda x: (time.sleep(0.02), encode(x))[1]
    start = time.perf_counter()
    phases.start()
    with phases.phase("data"):
        time.sleep(0.03)
    step.take(images)
    found = phases.seconds()
    whole = time.perf_counter() - start
    assert sum(found.values()) == pytest.approx(whole, rel=0.02)
    assert 0.03 <= found["data"] < 0.06
    assert found["query"] >= 0.04, "view 0 and the mixture"
    named = {"prepare", "mix", "query", "key", "momentum", "loss", "backward", "optimizer", "rest"}
    assert named <= set(found)
    phases.start()
    step.take(images)
    assert "data" not in phases.seconds()


def test_mmpretrains_method_takes_the_same_settings() -> None:
    cfg = _cfg(moco(mixer=UNMIX, symmetric=True))
    ours, theirs = as_mmpretrain(cfg)
    assert ours.model.type == "mixssl.MixMoCo" and "symmetric" not in ours.model
    assert theirs.model.type == "mmpretrain.MoCo" and cfg.model.symmetric
    steps = [TrainStep(config, CPU) for config in (ours, theirs)]
    assert type(steps[1].model) is MoCo
    images, losses = random_views(8, [16, 16]), []
    for step in steps:
        torch.manual_seed(1)
        losses.append(step.model.train_step(images, step.optimizer)["loss"])
    assert torch.equal(*losses)
    assert type(TrainStep(as_mmpretrain(_cfg(byol(mixer=UNMIX)))[1], CPU).model) is BYOL


def test_only_methods_of_ours_have_a_counterpart() -> None:
    with pytest.raises(ValueError, match="name a config whose model is one"):
        as_mmpretrain(_cfg(moco("mmpretrain.MoCo")))


def test_sizes_are_those_of_the_pipeline() -> None:
    crop = {"type": "RandomResizedCrop", "scale": 64}
    views = {"type": "MultiView", "num_views": [2, 6], "transforms": [[crop], [crop]]}
    cfg = _cfg(moco(), train_dataloader={"dataset": {"pipeline": [views]}})
    assert image_size(cfg) == 64 and view_sizes(cfg, 64) == [64] * 8
    assert image_size(_cfg(moco())) == 32 and view_sizes(_cfg(moco()), 32) == [32, 32]
    assert view_sizes(_cfg(moco(extra_sizes=(12,))), 8) == [8, 8, 12, 12]
    assert [view.shape for view in random_views(2, [8, 12])["inputs"]] == [
        (2, 3, 8, 8),
        (2, 3, 12, 12),
    ]


def test_views_of_the_device_are_random_like_all_others() -> None:
    views = {"num_views": 2, "transforms": [[{"type": "RandomResizedCrop", "scale": 24}]]}
    cfg = _cfg(moco(mixer=UNMIX))
    cfg.model.data_preprocessor |= {"views": views, "to_rgb": True}
    assert image_size(cfg) == 24 and view_sizes(cfg, 24) == [24, 24]
    TrainStep(cfg, CPU).take(random_views(8, [24, 24]))
    assert cfg.model.data_preprocessor.views == views


def test_the_mixture_is_all_that_is_taken_out() -> None:
    cfg = _cfg(moco(mixer=UNMIX), data_preprocessor=preprocessor(UNMIX))
    plain = without_mixture(cfg)
    assert "mixer" not in plain.data_preprocessor and "mix_head" not in plain.model
    assert cfg.data_preprocessor.mixer.type == "mixssl.UnMix"
    plain.data_preprocessor.mixer, plain.model.mix_head = UNMIX, cfg.model.mix_head
    plain.model.data_preprocessor.mixer = UNMIX
    assert plain.to_dict() == cfg.to_dict()


def test_models_on_the_step_are_ready_to_train() -> None:
    fused = SGD | {"optimizer": {"type": "SGD", "lr": 0.1, "fused": True}}
    step = TrainStep(_cfg(moco(mixer=UNMIX, channels_last=True), optim_wrapper=fused), CPU)
    assert isinstance(step.model, nn.Module) and step.model.training
    assert step.optimizer.optimizer.defaults["fused"]
    assert step.model.backbone.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert step.seconds(random_views(8, [16, 16])) > 0
