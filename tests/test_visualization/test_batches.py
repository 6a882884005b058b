"""Mixtures drawn for a picture are those of a config's own images and mixer."""

from pathlib import Path

import matplotlib.image
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed
from mmpretrain.structures import DataSample

from mixssl.registry import MIXERS
from mixssl.utils.errors import ConfigError
from mixssl.visualization import draw_mixtures, mixture_figure, mixture_kind, save_figure
from mixssl.visualization.batches import _labels_for

CONFIG = Path(__file__).parents[2] / "configs/demo/unmix_mocov2_r18_digits.py"


@pytest.fixture
def cfg() -> Config:
    return Config.fromfile(CONFIG)


def test_kinds_come_by_turns_and_mix_what_they_say(cfg: Config) -> None:
    views, mixtures = draw_mixtures(cfg, 6)
    assert [mixture_kind(mixture) for mixture in mixtures] == ["global", "region"] * 3
    assert len({int(mixture.index) for mixture in mixtures}) > 3
    for mixture in mixtures:
        assert mixture.index != mixture.partner
        own, partner = views[0][mixture.index], views[0][mixture.partner]
        wanted = mixture.mask * own + (1 - mixture.mask) * partner
        torch.testing.assert_close(mixture.images, wanted, atol=1e-5, rtol=0)


def test_same_seed_same_mixtures(cfg: Config) -> None:
    drawn = []
    for _ in range(2):
        set_random_seed(3)
        drawn.append(draw_mixtures(cfg, 2, seed=3))
    assert all(torch.equal(a, b) for a, b in zip(*(views for views, _ in drawn), strict=True))
    assert all(torch.equal(a.lam, b.lam) for a, b in zip(*(m for _, m in drawn), strict=True))


def test_a_config_without_a_mixer_is_refused(cfg: Config) -> None:
    cfg.data_preprocessor.mixer = None
    with pytest.raises(ConfigError, match="no mixer"):
        draw_mixtures(cfg, 2)


def test_mixtures_of_hidden_features_are_drawn_with_a_note(cfg: Config) -> None:
    cfg.data_preprocessor.mixer = {"type": "mixssl.ManifoldMix", "layers": ["layer1"]}
    views, (mixture,) = draw_mixtures(cfg, 1)
    assert mixture.images is None and mixture_kind(mixture) == "hidden"
    figure = mixture_figure(views, [mixture])
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["features mixed\nat layer1,\nno pixels"]
    labels = [axes.get_xlabel() for axes in figure.axes]
    assert f"λ = {float(mixture.lam[0]):.2f}" in labels and "hidden" in labels


@pytest.mark.parametrize("mixer", ["InterIntra", "ClusterPuzzleMix"])
def test_labels_take_the_place_of_clusters(cfg: Config, mixer: str) -> None:
    cfg.data_preprocessor.mixer = {"type": f"mixssl.{mixer}"}
    _, mixtures = draw_mixtures(cfg, 3)
    assert len(mixtures) == 3 and all(mixture.images is not None for mixture in mixtures)
    unlabelled = {"data_samples": [DataSample()]}
    with pytest.raises(ConfigError, match=f"{mixer} asks for clusters, and the training images"):
        _labels_for(MIXERS.build(cfg.data_preprocessor.mixer), unlabelled, 1)


def test_nothing_is_refused(cfg: Config) -> None:
    with pytest.raises(ConfigError, match="number of mixtures is 0"):
        draw_mixtures(cfg, 0)


def test_a_saved_picture_is_as_wide_as_all_are(cfg: Config, tmp_path: Path) -> None:
    views, mixtures = draw_mixtures(cfg, 2)
    path = save_figure(mixture_figure(views, mixtures), tmp_path / "new/folder/mixtures.png")
    assert matplotlib.image.imread(path).shape[1] == 1200
