"""Views of whole batches: what they are a function of, and what they leave alone."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.hub import get_config
from mmengine.registry import MODELS, DefaultScope
from mmpretrain.utils import register_all_modules
from support.ddp import run_ranks
from support.tiny import build, moco, preprocessor

from mixssl.augmentation import Operation, Views, build_operation
from mixssl.models.data_preprocessors import InstanceMixDataPreprocessor
from mixssl.registry import AUGMENTATIONS
from mixssl.utils.errors import ConfigError

JITTER = {
    "type": "RandomApply",
    "prob": 0.8,
    "transforms": [
        {
            "type": "ColorJitter",
            "brightness": 0.4,
            "contrast": 0.4,
            "saturation": 0.4,
            "hue": 0.1,
            "backend": "cv2",
        }
    ],
}
GRAY = {
    "type": "RandomGrayscale",
    "prob": 0.2,
    "keep_channels": True,
    "channel_weights": (0.114, 0.587, 0.2989),
}
CROP = {"type": "RandomResizedCrop", "scale": 16, "crop_ratio_range": (0.2, 1.0)}
BLUR = {"type": "GaussianBlur", "magnitude_range": (0.1, 2.0), "magnitude_std": "inf", "prob": 0.5}
FLIP = {"type": "RandomFlip", "prob": 0.5}
SOLARIZE = {"type": "Solarize", "thr": 128, "prob": 0.2}
PIPELINE = [CROP, JITTER, GRAY, BLUR, SOLARIZE, FLIP]


def _images(number: int, size: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (number, 3, size, size), generator=generator, dtype=torch.uint8)


def test_views_are_a_function_of_the_seed_and_leave_the_rest_alone() -> None:
    images = _images(12)
    before, state = images.clone(), torch.get_rng_state()
    first, second = (Views(2, [PIPELINE], seed=3)(images) for _ in range(2))
    assert len(first) == 2
    assert all(a.equal(b) for a, b in zip(first, second, strict=True))
    assert not first[0].equal(first[1])
    assert not Views(2, [PIPELINE], seed=4)(images)[0].equal(first[0])
    assert images.equal(before) and torch.get_rng_state().equal(state)
    for view in first:
        assert view.shape == (12, 3, 16, 16) and view.dtype == torch.float32
        assert view.min() >= 0 and view.max() <= 255 and view.isfinite().all()
        assert not view.requires_grad


def test_each_batch_gets_other_views() -> None:
    views, images = Views(1, [PIPELINE], seed=0), _images(8)
    assert not views(images)[0].equal(views(images)[0])


def test_each_image_gets_its_own_draws() -> None:
    one = _images(1).expand(64, 3, 16, 16)
    (view,) = Views(1, [[CROP, JITTER]], seed=0)(one)
    assert (
        len(view.flatten(1).unique(dim=0)) > 60
    )  # now and then two get the same crop and no jitter


def _one_split(batch: int, images: torch.Tensor) -> list[torch.Tensor]:
    views = Views([1, 1], [PIPELINE, [CROP, FLIP]], seed=5)
    parts = [views(part) for part in images.split(batch)]
    return [torch.cat(view) for view in zip(*parts, strict=True)]


def test_views_do_not_depend_on_how_a_batch_is_cut() -> None:
    """Micro-batches of any size; 300 images reach over several blocks of random numbers."""
    images = _images(300)
    whole = _one_split(300, images)
    for batch in (150, 64, 7, 1):
        for a, b in zip(whole, _one_split(batch, images), strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=1e-3)


def _views_of_rank(rank: int) -> list[torch.Tensor]:
    views = Views(2, [PIPELINE], seed=None)
    mine = _images(24)[rank::2]
    return [torch.cat(parts) for parts in zip(*map(views, mine.split(4)), strict=True)]


def _seeded_views_of_rank(rank: int) -> list[torch.Tensor]:
    torch.manual_seed(rank)  # the ranks agree on rank 0's
    return _views_of_rank(rank)


def test_views_do_not_depend_on_the_number_of_processes() -> None:
    torch.manual_seed(0)
    whole = Views(2, [PIPELINE])(_images(24))
    ranks = run_ranks(_seeded_views_of_rank)
    for k, view in enumerate(whole):
        for rank in range(2):
            torch.testing.assert_close(ranks[rank][k], view[rank::2], rtol=0, atol=1e-3)


def test_a_restored_state_goes_on_where_it_was() -> None:
    images, views = _images(10), Views(2, [PIPELINE], seed=1)
    for _ in range(3):
        views(images)
    other = Views(2, [PIPELINE], seed=None)
    other.load_state_dict(views.state_dict())
    assert views.state_dict().keys() == {"random.seed", "random.step"}
    assert views.random.step == 30
    assert other(images)[1].equal(views(images)[1])


def test_all_numbers_are_independent_and_uniform() -> None:
    random = Views(1, [[FLIP]], seed=2).random
    drawn = torch.cat([random(100, 5) for _ in range(40)])
    assert drawn.shape == (4000, 5) and drawn.dtype == torch.float64
    assert abs(drawn.mean(0) - 0.5).max() < 5 / math.sqrt(12 * 4000)
    correlation = torch.corrcoef(torch.cat([drawn[1:], drawn[:-1]], dim=1).T) - torch.eye(10)
    assert correlation.abs().max() < 0.09


def test_under_autocast_nothing_is_rounded() -> None:
    images = _images(6)
    plain = Views(1, [PIPELINE], seed=0)(images)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = Views(1, [PIPELINE], seed=0)(images)[0]
    assert mixed.equal(plain)


@pytest.mark.gpu
def test_on_a_gpu_the_views_are_the_same_and_the_host_never_waits() -> None:
    images = _images(64, size=32)
    pipeline = [CROP | {"scale": 32}, *PIPELINE[1:]]
    expected = Views(2, [pipeline], seed=0)(images)
    views, batch = Views(2, [pipeline], seed=0).cuda(), images.cuda()
    views.random._settle()  # seed and step are read from the device once in a run
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        made = views(batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for a, b in zip(made, expected, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=0, atol=0.05)


def test_steps_applied_at_random_are_applied_together_or_not_at_all() -> None:
    both = {"type": "RandomApply", "prob": 0.5, "transforms": [
        {"type": "Solarize", "thr": 0, "prob": 1.0},
        {"type": "RandomFlip", "prob": 1.0},
    ]}  # fmt: skip
    images = _images(200).float()
    (view,) = Views(1, [[both]], seed=0)(images)
    touched = (255 - images).flip(-1)
    done = (view == touched).flatten(1).all(1)
    left = (view == images).flatten(1).all(1)
    assert (done ^ left).all() and 70 < done.sum() < 130
    always = build_operation(both | {"prob": 1.0})
    plan = always.plan(torch.zeros(200, always.numbers, dtype=torch.float64), (16, 16))
    assert always.apply(images, plan).equal(touched)


# -- in the preprocessor ----------------------------------------------------------------------------------------------


def _preprocessor(**changes):  # type: ignore[no-untyped-def]
    cfg = preprocessor() | {
        "views": {"num_views": 2, "transforms": [PIPELINE]},
        "to_rgb": True,
        "mean": [120.0, 110.0, 100.0],
        "std": [50.0, 60.0, 70.0],
    }
    return MODELS.build(cfg | changes)


def test_the_preprocessor_turns_bgr_round_makes_views_and_normalises() -> None:
    images = _images(8)
    out = _preprocessor()({"inputs": images}, training=True)
    expected = Views(2, [PIPELINE], seed=0)(images.flip(1))
    mean = torch.tensor([120.0, 110.0, 100.0]).view(3, 1, 1)
    std = torch.tensor([50.0, 60.0, 70.0]).view(3, 1, 1)
    for view, plain in zip(out["inputs"], expected, strict=True):
        assert view.equal((plain - mean) / std)
    assert out["data_samples"] is None

    other = _preprocessor(to_rgb=False, rgb_to_bgr=True)({"inputs": images}, training=True)
    expected = Views(2, [PIPELINE], seed=0)(images)
    assert other["inputs"][0].equal((expected[0].flip(1) - mean) / std)


def test_gray_weighs_red_and_not_blue_when_images_come_as_bgr() -> None:
    """The same red image, as mmpretrain's data sets give it."""
    bgr = torch.zeros(4, 3, 16, 16, dtype=torch.uint8)
    bgr[:, 2] = 200
    views = {"num_views": 1, "transforms": [[GRAY | {"prob": 1.0}]]}
    (view,) = _preprocessor(views=views, mean=[0.0] * 3, std=[1.0] * 3)({"inputs": bgr}, True)[
        "inputs"
    ]
    assert torch.allclose(view, torch.tensor(200 * 0.299), atol=0.05)


def test_without_training_the_preprocessor_is_its_parent() -> None:
    images = _images(8)
    ours, plain = _preprocessor(), _preprocessor(views=None)
    data = {"inputs": images, "data_samples": None}
    assert ours(dict(data))["inputs"].equal(plain(dict(data))["inputs"])
    assert not plain.state_dict() and len(ours.state_dict()) == 2


def test_views_are_mixed() -> None:
    out = _preprocessor(mixer={"type": "mixssl.UnMix"})({"inputs": _images(8)}, training=True)
    (mixed,) = out["mixtures"][:1]
    x = out["inputs"][0]
    assert torch.allclose(mixed.images, mixed.mask * x + (1 - mixed.mask) * x.flip(0), atol=1e-5)


def test_a_step_with_device_views_trains() -> None:
    cfg = moco(mixer={"type": "mixssl.UnMix"})
    cfg["data_preprocessor"] |= {
        "views": {"num_views": 2, "transforms": [PIPELINE]},
        "to_rgb": True,
        "mean": [120.0] * 3,
        "std": [60.0] * 3,
    }
    model = build(cfg)
    data = model.data_preprocessor({"inputs": _images(8)}, training=True)
    losses = model(**data, mode="loss")
    sum(losses.values()).backward()
    assert losses.keys() == {"loss_clean", "loss_mix"}
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.backbone.parameters())


@pytest.mark.parametrize(
    ("changes", "error", "reason"),
    [
        ({"to_rgb": False}, ConfigError, "order of the channels"),
        ({"views": {"num_views": [1, 1], "transforms": [PIPELINE]}}, ConfigError, "1 pipelines"),
        ({"views": {"num_views": 0, "transforms": [PIPELINE]}}, ConfigError, "one number >= 1"),
        (
            {"views": {"num_views": 1, "transforms": [[{"type": "AutoContrast"}]]}},
            ConfigError,
            "AutoContrast has no form.*RandomFlip",
        ),
        (
            {"views": {"num_views": 1, "transforms": [[{"type": "RandomFlip", "axis": 1}]]}},
            ConfigError,
            "RandomFlip on the device.*axis",
        ),
        (
            {
                "views": {
                    "num_views": 1,
                    "transforms": [[{"type": "RandomApply", "transforms": [CROP]}]],
                }
            },
            ConfigError,
            "change the size",
        ),
    ],
)
def test_what_can_not_be_is_refused_when_built(changes, error, reason: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(error, match=reason):
        _preprocessor(**changes)


def test_views_from_the_pipeline_are_refused() -> None:
    with pytest.raises(TypeError, match="take MultiView out"):
        _preprocessor()({"inputs": [_images(4), _images(4)]}, training=True)


def test_an_operation_of_ones_own_joins_in() -> None:
    class Invert(Operation):
        numbers = 1

        def plan(self, numbers, size):  # type: ignore[no-untyped-def]
            return numbers[:, 0] < 2

        def apply(self, images, plan):  # type: ignore[no-untyped-def]
            return 255 - images

    try:
        AUGMENTATIONS.register_module(name="Invert", module=Invert)
        images = _images(4)
        assert Views(1, [[{"type": "Invert"}]], seed=0)(images)[0].equal(255 - images.float())
    finally:
        AUGMENTATIONS.module_dict.pop("Invert")


# -- against the per-image pipelines ----------------------------------------------------------------------------------

PUBLISHED = {
    "moco_cifar10": "configs/_base_/datasets/cifar10.py",
    "wmse_cifar10": "configs/_base_/datasets/cifar10_wmse.py",
    "stl10": "configs/_base_/datasets/stl10.py",
    "mixco_tiny": "configs/_base_/datasets/tiny_imagenet_224px.py",
    "mocov1": "configs/unmix/mocov1_r50_in1k.py",
    "mocov3": "mmpretrain::mocov3/mocov3_resnet50_8xb512-amp-coslr-100e_in1k.py",
    "mocov2": "mmpretrain::mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py",
    "simclr": "mmpretrain::simclr/simclr_resnet50_8xb32-coslr-200e_in1k.py",
    "byol": "mmpretrain::byol/byol_resnet50_16xb256-coslr-200e_in1k.py",
    "swav": "mmpretrain::swav/swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py",
}


def _multi_view(name: str) -> dict:
    path = PUBLISHED[name]
    cfg = get_config(path) if "::" in path else Config.fromfile(path)
    (step,) = (s for s in cfg.train_pipeline if s["type"].endswith("MultiView"))
    step = copy.deepcopy(step.to_dict())
    for pipeline in step["transforms"]:
        for transform in pipeline:
            if transform.get("scale", 0) > 64:
                transform["scale"] //= 4  # time, and no statistic
    return step


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_pipelines_have_the_statistics_of_their_per_image_form(name: str) -> None:
    """Brightness, contrast, colour and detail of many views of smooth images, within five standard errors."""
    register_all_modules(init_default_scope=False)
    step = _multi_view(name)
    number = 120 if name != "wmse_cifar10" and name != "moco_cifar10" else 600
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 6, 6, generator=generator) * 255
    image = torch.nn.functional.interpolate(coarse, (48, 48), mode="bicubic").clamp(0, 255)
    image = image.round().byte()
    arguments = {key: step[key] for key in ("num_views", "transforms")}
    ours = Views(**arguments, seed=0)(image.flip(1).expand(number, 3, 48, 48))
    bgr = image[0].permute(1, 2, 0).contiguous().numpy()
    with DefaultScope.overwrite_default_scope("mmpretrain"), torch.random.fork_rng():
        pipeline = Compose([step])
        theirs = [pipeline({"img": bgr.copy()})["img"] for _ in range(number)]
    for k, view in enumerate(ours):
        expected = torch.stack([torch.tensor(views[k].copy()) for views in theirs])
        expected = expected.permute(0, 3, 1, 2).flip(1).float()
        a, b = _statistics(view), _statistics(expected)
        error = ((a.var(0) + b.var(0)) / number).sqrt()
        # Per-image transforms round to whole levels, some of them down, at each step.
        assert ((a.mean(0) - b.mean(0)).abs() <= 5 * error + 1.0).all(), (k, a.mean(0), b.mean(0))
        spread = torch.maximum(a.std(0), b.std(0))
        assert ((a.std(0) - b.std(0)).abs() <= 5 * spread / math.sqrt(number) + 1.0).all()


def _statistics(views: torch.Tensor) -> torch.Tensor:
    """Per view: mean of each colour, contrast, colourfulness, detail, and left minus right."""
    gray = views.mean(1)
    half = views.shape[-1] // 2
    return torch.stack(
        [
            *views.mean((2, 3)).unbind(1),
            gray.std((1, 2)),
            views.std(1).mean((1, 2)),
            gray.diff(dim=-1).abs().mean((1, 2)) * 10,
            gray[..., :half].mean((1, 2)) - gray[..., -half:].mean((1, 2)),
        ],
        dim=1,
    )


@pytest.mark.parametrize("channels", [1, 5])
def test_views_of_any_number_of_channels(channels: int) -> None:
    steps = [CROP, {"type": "RandomFlip", "prob": 0.5}, {"type": "ColorJitter", "brightness": 0.4}]
    mean, std = [float(i + 100) for i in range(channels)], [float(i + 50) for i in range(channels)]
    preprocessor = InstanceMixDataPreprocessor(
        views={"num_views": 2, "transforms": [steps]}, mean=mean, std=std, seed=0
    )
    images = torch.rand(4, channels, 12, 12, generator=torch.Generator().manual_seed(0)) * 255
    before = images.clone()
    views = preprocessor({"inputs": images}, training=True)["inputs"]
    assert len(views) == 2 and views[0].shape[:2] == (4, channels) and not views[0].equal(views[1])
    plain = preprocessor({"inputs": images.clone(), "data_samples": None})["inputs"]
    shape = (-1, 1, 1)
    expected = (images - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
    assert torch.allclose(plain, expected) and images.equal(before)
    with pytest.raises(ConfigError, match="to_rgb and its like"):
        InstanceMixDataPreprocessor(mean=[1.0] * 5, std=[1.0] * 5, to_rgb=True)
