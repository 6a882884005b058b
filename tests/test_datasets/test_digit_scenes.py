"""Scenes: what is annotated is what is painted."""

from __future__ import annotations

import hashlib
import itertools
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from mixssl.datasets import Digits, DigitScenes
from mixssl.datasets.digit_scenes import (
    Placed,
    background,
    box_of,
    mask_of,
    paint,
    place,
    run_lengths,
    stretch,
)
from mixssl.registry import DATASETS


def _scenes(**options) -> DigitScenes:
    return DigitScenes(**{"num_scenes": 30, **options})


def _decode(rle: dict) -> np.ndarray:
    """Run lengths to a mask, one run after the other."""
    flat = list(itertools.chain.from_iterable([i % 2] * n for i, n in enumerate(rle["counts"])))
    height, width = rle["size"]
    return np.array(flat, dtype=bool).reshape(width, height).T


def _share_of_the_smaller(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return max(0, width) * max(0, height) / min(areas)


def test_a_sample_is_what_detectors_take() -> None:
    scenes = DATASETS.build(
        {"type": "mixssl.DigitScenes", "num_scenes": 12, "image_size": (96, 128)}
    )
    assert len(scenes) == 12
    assert scenes.metainfo["classes"] == tuple("0123456789")
    for number in range(12):
        sample = scenes[number]
        assert sample["img"].shape == (96, 128, 3) and sample["img"].dtype == np.uint8
        assert (sample["img"] == sample["img"][..., :1]).all()
        assert sample["img_id"] == number
        assert sample["img_shape"] == sample["ori_shape"] == (96, 128)
        assert (sample["height"], sample["width"]) == (96, 128)
        assert scenes.get_cat_ids(number) == [i["bbox_label"] for i in sample["instances"]]
        assert json.loads(json.dumps(sample["instances"])) == sample["instances"]


@pytest.mark.parametrize("max_overlap", [0.0, 0.2, 0.6])
def test_boxes_are_tight_and_overlap_no_more_than_allowed(max_overlap: float) -> None:
    shared = []
    for sample in _scenes(max_overlap=max_overlap, digits=(5, 9)):
        masks = [_decode(instance["mask"]) for instance in sample["instances"]]
        assert all(mask.shape == (128, 128) for mask in masks)
        assert sum(mask.astype(int) for mask in masks).max() == 1, "masks never overlap"
        for mask, instance in zip(masks, sample["instances"], strict=True):
            left, top, right, bottom = (int(edge) for edge in instance["bbox"])
            assert mask[top:bottom, left:right].sum() == mask.sum() > 0
            for edge in (
                mask[top, left:right],
                mask[bottom - 1, left:right],
                mask[top:bottom, left],
                mask[top:bottom, right - 1],
            ):
                assert edge.any()
        boxes = [instance["bbox"] for instance in sample["instances"]]
        shared += [_share_of_the_smaller(a, b) for a, b in itertools.combinations(boxes, 2)]
    assert max(shared) <= max_overlap
    assert max(shared) >= max_overlap / 2, "the limit is made use of"


def test_masks_show_ink() -> None:
    scenes = _scenes(clutter=0, brightness=40, noise=5)
    assert len(scenes) == 30
    for sample in scenes:
        ink = np.zeros((128, 128), dtype=bool)
        for instance in sample["instances"]:
            ink |= _decode(instance["mask"])
        # Half-opaque ink of at least 144 on black is the darkest that a mask can hold.
        assert sample["img"][ink].min() >= 128 * 144 // 255
        assert sample["img"][~ink].mean() < 45


def test_options_bound_what_is_drawn() -> None:
    counts, sides = [], []
    for sample in _scenes(digits=(2, 3), digit_size=(20, 24), max_overlap=0.5):
        counts.append(len(sample["instances"]))
        for instance in sample["instances"]:
            left, top, right, bottom = instance["bbox"]
            sides += [right - left, bottom - top]
    assert set(counts) == {2, 3}
    assert max(sides) <= 24 and max(sides) > 16
    black = _scenes(num_scenes=1, clutter=0, brightness=0, noise=0, digits=(1, 1))[0]
    left, top, right, bottom = (int(edge) for edge in black["instances"][0]["bbox"])
    outside = black["img"].copy()
    outside[max(top - 8, 0) : bottom + 8, max(left - 8, 0) : right + 8] = 0
    assert not outside.any() and black["img"].any()


def test_the_same_seed_paints_the_same_everywhere() -> None:
    def digest(**options) -> str:
        scenes = _scenes(num_scenes=5, **options)
        return hashlib.sha256(
            pickle.dumps([scene["img"].tobytes() for scene in scenes])
        ).hexdigest()

    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = digest()
    assert torch.equal(torch.get_rng_state(), state), "the global generator is not touched"
    torch.manual_seed(2)
    assert digest() == first
    assert len({first, digest(seed=1), digest(split="val"), digest(split="val", seed=1)}) == 4
    # Of whatever machine: whole numbers alone are drawn and computed with.
    pixels = b"".join(scene["img"].tobytes() for scene in _scenes(num_scenes=5))
    assert hashlib.sha256(pixels).hexdigest()[:16] == "fe2c73d4fbea2696"


def test_more_scenes_leave_the_first_ones_alone() -> None:
    few, many = _scenes(num_scenes=3), _scenes(num_scenes=9)
    for a, b in zip(few, itertools.islice(many, 3), strict=True):
        assert (a["img"] == b["img"]).all() and a["instances"] == b["instances"]


@pytest.mark.parametrize(("split", "source"), [("train", "train"), ("val", "test")])
def test_the_splits_show_different_digits(split: str, source: str) -> None:
    """A digit alone on black, as large as the scan, is one of its own split's scans."""
    scenes = _scenes(
        split=split,
        digits=(1, 1),
        digit_size=(8, 8),
        image_size=(8, 8),
        clutter=0,
        brightness=0,
        noise=0,
    )

    scans = {(sample["img"][..., 0] > 127).tobytes() for sample in Digits(split=source, size=8)}
    shapes = [_decode(scene["instances"][0]["mask"]).tobytes() for scene in scenes]
    assert len(shapes) == 30 and scans.issuperset(shapes)
    other = {"train": "test", "test": "train"}[source]
    assert not {sample["img"].tobytes() for sample in Digits(split=source, size=8)} & {
        sample["img"].tobytes() for sample in Digits(split=other, size=8)
    }


def test_the_parts_by_hand() -> None:
    mask = np.array([[0, 1, 1, 0], [0, 0, 1, 0]], dtype=bool)
    assert box_of(mask) == [1.0, 0.0, 3.0, 2.0]
    assert run_lengths(mask) == {"size": [2, 4], "counts": [2, 1, 1, 2, 2]}
    assert run_lengths(~mask) == {"size": [2, 4], "counts": [0, 2, 1, 1, 2, 2]}
    assert run_lengths(np.ones((2, 2), dtype=bool)) == {"size": [2, 2], "counts": [0, 4]}
    assert run_lengths(np.zeros((2, 2), dtype=bool)) == {"size": [2, 2], "counts": [4]}

    for runs in (run_lengths(mask), run_lengths(~mask)):
        assert (mask_of(runs) == _decode(runs)).all()

    canvas = np.full((2, 3), 100, dtype=np.uint8)
    opacity = np.array([[0, 255], [51, 128]], dtype=np.uint8)
    painted = paint(canvas, Placed(opacity, top=0, left=1, ink=200, label=3))
    assert painted.tolist() == [[100, 100, 200], [100, 120, 150]]
    assert (canvas == 100).all(), "the canvas itself stays"


def test_ground_and_size() -> None:
    generator = torch.Generator().manual_seed(0)
    ground = background((12, 20), brightness=90, noise=0, generator=generator)
    assert ground.shape == (12, 20) and ground.std() > 0
    assert not background((12, 20), brightness=0, noise=0, generator=generator).any()
    scan = np.full((8, 8), 77, dtype=np.uint8)
    assert (stretch(scan, 5, 9) == 77).all() and stretch(scan, 5, 9).shape == (5, 9)


def test_what_finds_no_place_is_left_out() -> None:
    generator = torch.Generator().manual_seed(0)
    full = np.full((8, 8), 255, dtype=np.uint8)
    placed, masks = place((8, 8), [(full, 200, 1), (full, 200, 2)], 0.5, generator)
    assert [digit.label for digit in placed] == [1] and masks[0].all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "test"}, "split is 'test'"),
        ({"num_scenes": 0}, "num_scenes is 0"),
        ({"digits": (0, 3)}, r"digits is \(0, 3\)"),
        ({"digits": (4, 3)}, r"digits is \(4, 3\)"),
        ({"digit_size": (4, 16)}, "8 pixels or more"),
        ({"image_size": (32, 64)}, "fit the image"),
        ({"clutter": -1}, "clutter is -1"),
        ({"brightness": 256}, "brightness is 256"),
        ({"noise": -1}, "noise is -1"),
        ({"max_overlap": 1.0}, "max_overlap is 1.0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DigitScenes(**options)


def test_mmdet_is_not_imported() -> None:
    code = "import sys, mixssl.datasets; sys.exit('mmdet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
