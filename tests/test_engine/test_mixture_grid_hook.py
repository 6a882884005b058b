"""The grid shows every mixer's mixtures, learned ones as the model makes them, and disturbs nothing."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from support import classifiers, tiny
from support.amix import amix
from support.clusters import clusters
from support.ddp import run_ranks
from torch import Tensor

from mixssl.engine.hooks import MixtureGridHook
from mixssl.evaluation.state import in_evaluation
from mixssl.utils.errors import ConfigError
from mixssl.visualization import clean_views, mixture_figure, sample_mixtures

_runs = count()


def grid(**changes: Any) -> dict:
    return {"type": "mixssl.MixtureGrid", "num": 4, "interval": 1, **changes}


def make_runner(
    work_dir: Path, hooks: list[dict | Hook], model: dict, epochs: int = 2, **changes: Any
) -> Runner:
    """Two iterations of 16 digits make an epoch; views are drawn in this process, where a grid could disturb them."""
    train = Config.fromfile("configs/_base_/datasets/digits.py").train_dataloader.to_dict()
    train.update(batch_size=16, num_workers=0, persistent_workers=False)
    train["dataset"]["indices"] = 32
    model["data_preprocessor"].update(mean=[79.7] * 3, std=[90.5] * 3, to_rgb=True)
    settings = {
        "model": model,
        "train_dataloader": train,
        "train_cfg": {"by_epoch": True, "max_epochs": epochs},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
        "visualizer": {"type": "Visualizer", "vis_backends": [{"type": "LocalVisBackend"}]},
        "randomness": {"seed": 0},
        "log_level": "WARNING",
    }
    return Runner(
        work_dir=str(work_dir),
        custom_hooks=hooks,
        default_scope="mmpretrain",
        experiment_name=f"grid_{os.getpid()}_{next(_runs)}",
        **{**settings, **changes},
    )


def pictures(runner: Runner) -> dict[str, np.ndarray]:
    """What was written, by name."""
    paths = Path(runner.work_dir).glob("*/vis_data/vis_image/*.png")
    return {path.stem: matplotlib.image.imread(path) for path in sorted(paths)}


def unmix() -> dict:
    return tiny.moco(mixer={"type": "mixssl.UnMix"})


def learned() -> dict:
    return amix(tiny.moco)


def hidden() -> dict:
    mixer = {"type": "mixssl.ManifoldMix", "layers": ["input", "layer1"]}
    return tiny.moco(mixer=mixer)


class Modes(Hook):
    """Notes how many modules are in training mode, and how many parameters train, after each step."""

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        training = sum(module.training for module in runner.model.modules())
        self.seen.append((training, sum(p.requires_grad for p in runner.model.parameters())))


@pytest.mark.parametrize(
    ("make_model", "fixed"), [(unmix, False), (learned, True), (learned, False), (hidden, True)]
)
def test_training_is_bit_identical_with_and_without(
    tmp_path: Path, make_model: Any, fixed: bool
) -> None:
    # A runner seeds the process as it is made: one after the other.
    plain = make_runner(tmp_path / "a", [modes := Modes()], make_model())
    plain.train()
    hooks = [grid(num=2, iter_interval=3, fixed=fixed), watched_modes := Modes()]
    watched = make_runner(tmp_path / "b", hooks, make_model())
    watched.train()
    found = watched.model.state_dict()
    assert found["data_preprocessor.random.step"] == 4
    assert found.keys() == plain.model.state_dict().keys()
    assert all(torch.equal(value, found[name]) for name, value in plain.model.state_dict().items())
    assert modes.seen == watched_modes.seen
    names = [f"mixtures_epoch_{i}" for i in (0, 1, 2)] + [f"mixtures_iter_{i}" for i in (0, 3, 4)]
    assert sorted(pictures(watched)) == names


@pytest.mark.parametrize("mixer", ["InterIntra", "ClusterPuzzleMix"])
def test_mixtures_by_clusters_are_drawn_and_disturb_nothing(tmp_path: Path, mixer: str) -> None:
    start, states = {"type": "mixssl.ODCHook", "pipeline": [{"type": "PackInputs"}]}, []
    for name, hooks in (("a", [start]), ("b", [start, grid()])):
        memory = clusters(num_images=32)
        model = tiny.moco(mixer={"type": f"mixssl.{mixer}"}, clusters=memory)
        runner = make_runner(tmp_path / name, hooks, model)
        runner.train()
        states.append(runner.model.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert sorted(pictures(runner)) == [f"mixtures_epoch_{i}" for i in (0, 1, 2)]


def test_fixed_grids_of_a_static_mixer_differ_in_their_title_alone(tmp_path: Path) -> None:
    runner = make_runner(tmp_path / "a", [grid()], unmix())
    runner.train()
    first, *others = pictures(runner).values()
    assert first.shape[1] == 1200 and len(others) == 2
    for other in others:
        changed = np.flatnonzero((first != other).any(axis=(1, 2)))
        assert len(changed) > 0 and changed.max() < 50  # rows of the title
    runner = make_runner(tmp_path / "b", [grid(fixed=False)], unmix())
    runner.train()
    first, other, _ = pictures(runner).values()
    assert np.flatnonzero((first != other).any(axis=(1, 2))).max() > 50


def test_learned_masks_are_those_of_the_moment(tmp_path: Path) -> None:
    drawn = []

    class Spy(MixtureGridHook):
        def _draw(self, runner: Runner, name: str, step: int) -> None:
            super()._draw(runner, name, step)
            with in_evaluation(runner.model):
                mixtures = sample_mixtures(runner.model.mixer, self._views, 4, 0)
                drawn.append(runner.model.render_mixtures(self._views, mixtures))

    runner = make_runner(tmp_path, [Spy(num=4, interval=1)], learned())
    runner.train()
    assert [mixture.learned for mixture in drawn[0]] == ["block", "encoder"] * 2
    for before, after in zip(drawn[0], drawn[-1], strict=True):
        assert torch.equal(before.lam, after.lam) and torch.equal(before.partner, after.partner)
        if (
            before.learned == "block"
        ):  # after two epochs still the same all over, the encoder's are λ
            assert not torch.equal(before.mask, after.mask)
    first, *_, last = pictures(runner).values()
    assert np.flatnonzero((first != last).any(axis=(1, 2))).max() > 50


def test_views_made_by_the_preprocessor_are_drawn_without_a_step_of_theirs(tmp_path: Path) -> None:
    model = unmix()
    crop = [{"type": "RandomResizedCrop", "scale": 16}]
    model["data_preprocessor"].update(views={"transforms": [crop], "num_views": 2}, to_rgb=True)
    model["data_preprocessor"].update(mean=[79.7] * 3, std=[90.5] * 3)
    preprocessor = tiny.build(model).data_preprocessor
    batch = {"inputs": torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)}
    shown = clean_views(preprocessor, batch, 2)
    trained = preprocessor(batch, True)["inputs"]
    assert all(torch.equal(a, b[:2]) for a, b in zip(shown, trained, strict=True))


def test_images_of_a_classifier_are_a_view_of_their_own() -> None:
    model = tiny.build(classifiers.amix())
    batch = classifiers.labelled(batch=6)
    with in_evaluation(model):
        views = clean_views(model.data_preprocessor, batch, 4)
        mixtures = model.render_mixtures(views, sample_mixtures(model.mixer, views, 2, 0))
    assert len(views) == 1 and torch.equal(views[0], batch["inputs"][:4])
    assert [mixture.learned for mixture in mixtures] == ["block", "encoder"]
    assert [mixture.images.shape for mixture in mixtures] == [(1, 3, 16, 16)] * 2
    assert len([axes for axes in mixture_figure(views, mixtures).axes if axes.images]) == 8
    assert model.training


@pytest.mark.parametrize(
    ("changes", "epochs", "names"),
    [
        ({"interval": 2}, 3, ["epoch_0", "epoch_2", "epoch_3"]),
        ({"interval": None, "iter_interval": 3}, 2, ["iter_0", "iter_3", "iter_4"]),
    ],
)
def test_it_draws_when_it_is_time(
    tmp_path: Path, changes: dict, epochs: int, names: list[str]
) -> None:
    runner = make_runner(tmp_path, [grid(**changes)], unmix(), epochs)
    runner.train()
    assert sorted(pictures(runner)) == [f"mixtures_{name}" for name in names]


def test_loops_that_count_iterations(tmp_path: Path) -> None:
    changes = {
        "train_cfg": {"by_epoch": False, "max_iters": 3},
        "log_processor": {"by_epoch": False},
    }
    runner = make_runner(tmp_path / "a", [grid(iter_interval=2)], unmix(), **changes)
    runner.train()
    assert sorted(pictures(runner)) == [f"mixtures_iter_{i}" for i in (0, 2, 3)]
    runner = make_runner(tmp_path / "b", [grid()], unmix(), **changes)
    with pytest.raises(ConfigError, match="counts iterations and iter_interval is None"):
        runner.train()


def test_a_run_without_a_mixer_gets_no_grid(tmp_path: Path) -> None:
    runner = make_runner(tmp_path, [grid()], tiny.moco(), 1)
    runner.train()
    assert not pictures(runner)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num": 0}, "num is 0"),
        ({"interval": 0}, "interval is 0"),
        ({"iter_interval": -1}, "iter_interval is -1"),
        ({"interval": None}, "both None"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        MixtureGridHook(**changes)


def train_on_a_rank(rank: int, folder: str) -> Tensor:
    """Trains two epochs on this rank's digits and returns what was learned."""
    wrapper = {
        "type": "MMDistributedDataParallel",
        "device_ids": None,
        "broadcast_buffers": False,
        "find_unused_parameters": True,
    }
    cfg = Config({"model_wrapper_cfg": wrapper})
    runner = make_runner(Path(folder), [grid()], learned(), launcher="pytorch", cfg=cfg)
    runner.train()
    return torch.cat([p.detach().flatten() for p in runner.model.parameters()])


def test_two_ranks_draw_one_grid_and_wait_for_nothing(tmp_path: Path) -> None:
    first, second = run_ranks(train_on_a_rank, str(tmp_path))
    assert torch.equal(first, second)
    names = sorted(path.name for path in tmp_path.glob("*/vis_data/vis_image/*.png"))
    assert names == [f"mixtures_epoch_{i}.png" for i in range(3)]
