"""What every registered mixer promises, tested the day it is registered."""

from __future__ import annotations

import pytest
import torch
from support.device import DEVICE
from support.tiny import views
from torch import Tensor

from mixssl.mixing import DeferredMixture, Mixer
from mixssl.registry import MIXERS
from mixssl.structures import MixedView

pytestmark = pytest.mark.device
MIXERS.import_from_location()
NAMES = sorted(MIXERS.module_dict)
DECREED = {"ResizeMix", "PuzzleMix", "ClusterPuzzleMix", "SDMP"}
"""The pixels inside the mask are not the partner's at the same place; their own tests say what they are."""
LEARNED = {"AMix"}
"""The model makes mask and pixels; what a mixer draws is λ and the partners."""
NEVER_WHOLE = {"InterCutMix", "IntraCutMix"}
"""Their boxes leave something of the partner at every λ."""
ALONE = {"CropMix", "IntraCutMix", "ScaleMix"}
"""An image is mixed with another view of its own, so that one is enough."""
ARGUMENTS: dict[str, dict] = {
    "Stack": {"mixers": [{"type": "mixssl.UnMix"}, {"type": "mixssl.MixCo"}]},
    "MultiScale": {"mixer": {"type": "mixssl.UnMix"}, "scales": 1},
    "PatchMix": {"patch": 4},
    "RegionCL": {"stride": 4, "cells": (2, 3)},
}
"""What a mixer can't be built without, or not for images as small as these."""
BATCH, SIZE = 8, 16
DRAWN = [name for name in NAMES if name not in LEARNED]


def _mixer(name: str, **changes: object) -> Mixer:
    mixer = MIXERS.build({"type": f"mixssl.{name}"} | ARGUMENTS.get(name, {}) | changes)
    assert isinstance(mixer, Mixer)
    return mixer


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _mix(mixer: Mixer, x: list[Tensor], generator: torch.Generator) -> list[MixedView]:
    """Mixes; where a mixer asks for clusters there are four, in turns, and bright pixels matter."""
    labels = torch.arange(len(x[0]), device=DEVICE) % 4
    return [
        mixed.render(labels, lambda images: images.float().abs().mean(dim=1))
        if isinstance(mixed, DeferredMixture)
        else mixed
        for mixed in mixer(x, generator)
    ]


def _views(mixer: Mixer) -> list[Tensor]:
    return views(BATCH, SIZE, count=2 + mixer.extra_views)


def _sources(mixed: MixedView, x: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Own and partner images of each row."""
    return x[mixed.source][mixed.index], x[mixed.partner_view][mixed.partner]


def _draws(name: str, count: int = 10, **changes: object) -> list[tuple[list[Tensor], MixedView]]:
    mixer = _mixer(name, **changes)
    x = _views(mixer)
    return [(x, mixed) for seed in range(count) for mixed in _mix(mixer, x, _generator(seed))]


def _variants(name: str) -> list[dict]:
    """The defaults, and a λ per image where there is a switch for it."""
    return [{}, {"per_sample": True}] if hasattr(_mixer(name), "per_sample") else [{}]


def test_the_registry_is_not_empty() -> None:
    assert {"UnMix", "MixCo", "MixUp"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_record_is_whole(name: str) -> None:
    for changes in _variants(name):
        for x, mixed in _draws(name, **changes):
            rows = len(mixed.index)
            assert 0 <= mixed.source < len(x) and 0 <= mixed.partner_view < len(x)
            for part in (mixed.index, mixed.partner):
                assert part.shape == (rows,) and part.dtype == torch.int64
                assert part.min() >= 0 and part.max() < BATCH
            assert mixed.lam.shape == (rows,) and mixed.lam.dtype == torch.float32
            assert mixed.lam.min() >= 0 and mixed.lam.max() <= 1
            if mixed.images is not None:
                assert mixed.images.shape == (rows, 3, SIZE, SIZE)
            if mixed.boxes is not None:
                top, left, bottom, right = mixed.boxes.unbind(1)
                assert mixed.boxes.shape == (rows, 4) and mixed.boxes.dtype == torch.int64
                assert (top >= 0).all() and (top <= bottom).all() and (bottom <= SIZE).all()
                assert (left >= 0).all() and (left <= right).all() and (right <= SIZE).all()


@pytest.mark.parametrize("name", sorted(LEARNED))
def test_what_the_model_makes_is_not_drawn(name: str) -> None:
    assert all(mixed.images is None and mixed.mask is None for _, mixed in _draws(name))


@pytest.mark.parametrize("name", DRAWN)
def test_the_masks_mean_is_lam(name: str) -> None:
    for changes in _variants(name):
        for _, mixed in _draws(name, **changes):
            assert mixed.mask is not None
            assert mixed.mask.shape == (len(mixed.index), 1, SIZE, SIZE)
            assert mixed.mask.min() >= 0 and mixed.mask.max() <= 1
            mean = mixed.mask.double().mean(dim=(1, 2, 3))
            assert torch.allclose(mean, mixed.lam.double(), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in DRAWN if name not in DECREED])
def test_pixels_are_what_the_record_says(name: str) -> None:
    for changes in _variants(name):
        drawn = [(x, mixed) for x, mixed in _draws(name, **changes) if mixed.images is not None]
        assert drawn
        for x, mixed in drawn:
            own, other = _sources(mixed, x)
            expected = mixed.mask * own + (1 - mixed.mask) * other
            assert torch.allclose(mixed.images, expected, atol=1e-6)
            whole, none = (mixed.mask == 1).expand_as(own), (mixed.mask == 0).expand_as(own)
            assert torch.equal(mixed.images[whole], own[whole])
            assert torch.equal(mixed.images[none], other[none])


@pytest.mark.parametrize("name", DRAWN)
def test_an_image_of_all_ones_stays_one(name: str) -> None:
    """However the pixels move, every weight is a weight of a mean."""
    mixer = _mixer(name)
    ones = [torch.ones_like(view) for view in _views(mixer)]
    drawn = [mixed for seed in range(10) for mixed in _mix(mixer, ones, _generator(seed))]
    images = [mixed.images for mixed in drawn if mixed.images is not None]
    assert images and all(torch.allclose(mixed, torch.ones_like(mixed)) for mixed in images)


@pytest.mark.parametrize("name", NAMES)
def test_lam_is_shared_exactly_where_a_mixer_says_so(name: str) -> None:
    """One λ for all rows of a mixture, or else rows that differ in it."""
    for changes in _variants(name):
        shared = [len(mixed.lam.unique()) == 1 for _, mixed in _draws(name, **changes)]
        assert all(shared) is _mixer(name, **changes).shared_lam, changes


@pytest.mark.parametrize("name", NAMES)
def test_inputs_are_not_modified(name: str) -> None:
    x = _views(_mixer(name))
    before = [view.clone() for view in x]
    for changes in _variants(name):
        for seed in range(5):
            for mixed in _mix(_mixer(name, **changes), x, _generator(seed)):
                if mixed.images is not None:
                    mixed.images.zero_()  # nor does a mixture share memory with them
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_mixture_and_no_other_source_of_chance(name: str) -> None:
    x = _views(_mixer(name))
    for changes in _variants(name):
        mixer = _mixer(name, **changes)
        torch.manual_seed(1)
        state = torch.get_rng_state()
        first = _mix(mixer, x, _generator(3))
        assert torch.equal(torch.get_rng_state(), state)
        torch.manual_seed(2)
        for a, b in zip(first, _mix(mixer, x, _generator(3)), strict=True):
            for one, two in zip(a, b, strict=True):
                assert torch.equal(one, two) if isinstance(one, Tensor) else one == two
        others = [_mix(mixer, x, _generator(seed)) for seed in range(4, 8)]
        assert any(
            not torch.equal(one, two)
            for other in others
            for one, two in zip(first[0], other[0], strict=True)
            if isinstance(one, Tensor)
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_dtype_of_the_views_is_kept(name: str) -> None:
    mixer = _mixer(name)
    for dtype in (torch.float64, torch.bfloat16):
        x = [view.to(dtype) for view in _views(mixer)]
        drawn = [mixed for seed in range(10) for mixed in _mix(mixer, x, _generator(seed))]
        assert {mixed.lam.dtype for mixed in drawn} == {torch.float32}
        images = {mixed.images.dtype for mixed in drawn if mixed.images is not None}
        assert images == (set() if name in LEARNED else {dtype})


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ALONE])
def test_a_batch_of_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="got a batch of 1 and needs at least 2.*drop_last"):
        _mixer(name)(views(1, SIZE), _generator())


@pytest.mark.parametrize("name", [name for name in DRAWN if hasattr(_mixer(name), "alpha")])
def test_near_the_ends_of_lam_a_mixture_is_one_of_its_images(name: str) -> None:
    """A tiny alpha draws λ next to 0 or 1; where λ ends up 1 nothing may be left of the partner."""
    seen = set()
    for x, mixed in _draws(name, 40, alpha=0.005):
        if mixed.images is None:  # mixed behind a hidden layer
            continue
        own, other = _sources(mixed, x)
        for end, image in ((1.0, own), (0.0, other)):
            rows = mixed.lam == end
            if rows.any() and not (name in DECREED and end == 0.0):
                assert torch.equal(mixed.images[rows], image[rows])
                seen.add(end)
    assert (1.0 in seen) is (name not in NEVER_WHOLE)


@pytest.mark.parametrize("name", [name for name in NAMES if hasattr(_mixer(name), "alpha")])
def test_an_alpha_out_of_range_is_refused(name: str) -> None:
    for alpha in (0.0, float("nan")):
        with pytest.raises(ValueError, match=f"alpha of {name} is {alpha} and must be > 0"):
            _mixer(name, alpha=alpha)
