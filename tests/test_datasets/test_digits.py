"""mixssl.Digits against scikit-learn's own arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.utils import register_all_modules
from sklearn.datasets import load_digits

from mixssl.datasets import Digits

register_all_modules(init_default_scope=True)

CONFIG = "configs/_base_/datasets/digits.py"


def images_of(dataset: Digits) -> np.ndarray:
    return np.stack([dataset.get_data_info(i)["img"] for i in range(len(dataset))])


def test_native_size_shows_every_scan_once() -> None:
    train, test = Digits("train", size=8), Digits("test", size=8)
    assert (len(train), len(test)) == (1297, 500)
    ours = np.concatenate([images_of(train), images_of(test)])
    labels = np.concatenate([train.get_gt_labels(), test.get_gt_labels()])
    digits = load_digits()
    expected = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    # Disjoint and complete: sorted by content, the two splits together are scikit-learn's whole set.
    rows = sorted((img[..., 0].tobytes(), label) for img, label in zip(ours, labels, strict=True))
    reference = zip(expected, digits.target, strict=True)
    assert rows == sorted((img.tobytes(), label) for img, label in reference)
    assert (ours == ours[..., :1]).all()


def test_split_is_stratified_and_fixed() -> None:
    train, test = Digits("train"), Digits("test")
    counts = np.bincount(train.get_gt_labels()) / 1297 - np.bincount(test.get_gt_labels()) / 500
    assert np.abs(counts).max() < 0.002
    assert np.array_equal(images_of(train), images_of(Digits("train")))
    # A figure on a fixed split means nothing if the split moves.
    assert test.get_gt_labels()[:12].tolist() == [0, 1, 4, 5, 8, 5, 6, 5, 9, 9, 1, 3]


def test_sample_has_what_the_pipeline_needs() -> None:
    info = Digits("test", size=24).get_data_info(3)
    assert info["img"].shape == (24, 24, 3)
    assert info["img"].dtype == np.uint8
    assert info["img_shape"] == info["ori_shape"] == (24, 24)
    assert info["sample_idx"] == 3
    assert Digits("test", lazy_init=True).metainfo["classes"] == tuple("0123456789")


def test_up_scaling_keeps_the_scan() -> None:
    small, large = images_of(Digits("test", size=8)), images_of(Digits("test", size=16))
    pooled = large.reshape(500, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    assert np.corrcoef(pooled.ravel(), small.ravel())[0, 1] > 0.99


def test_indices_take_a_part() -> None:
    assert len(Digits("train", indices=64)) == 64


@pytest.mark.parametrize(("kwargs", "named"), [({"split": "val"}, "'val'"), ({"size": 7}, "7")])
def test_bad_arguments_are_named(kwargs: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Digits(**kwargs)  # type: ignore[arg-type]


def test_config_gives_two_views_and_the_plain_image() -> None:
    config = Config.fromfile(CONFIG)
    config.train_dataloader.update(num_workers=0, persistent_workers=False)
    torch.manual_seed(0)
    batch = next(iter(Runner.build_dataloader(config.train_dataloader, seed=0)))
    views = batch["inputs"]
    size = config.train_dataloader.batch_size
    assert [tuple(view.shape) for view in views] == [(size, 3, 16, 16)] * 2
    assert views[0].dtype == torch.uint8
    assert not torch.equal(views[0], views[1])
    plain = next(iter(Runner.build_dataloader(config.knn_query, seed=0)))["inputs"]
    expected = images_of(Digits("test"))[: len(plain)].transpose(0, 3, 1, 2)
    assert np.array_equal(plain.numpy(), expected)


def test_config_normalises_to_unit_scale() -> None:
    preprocessor = Config.fromfile(CONFIG).data_preprocessor
    train = images_of(Digits("train"))
    np.testing.assert_allclose(preprocessor.mean, train.mean(axis=(0, 1, 2)), atol=0.1)
    np.testing.assert_allclose(preprocessor.std, train.std(axis=(0, 1, 2)), atol=0.1)
