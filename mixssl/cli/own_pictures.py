"""Pictures of a run on one's own images: mixtures, neighbours before and after, a map of the features."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import set_random_seed

from mixssl.cli.embed import draw_neighbours, features_of, images_for
from mixssl.cli.page import Section
from mixssl.transfer.backbone_folder import Backbone, build_backbone
from mixssl.utils.checkpoints import read_checkpoint
from mixssl.visualization import (
    build_model,
    draw_mixtures,
    embed,
    mixture_figure,
    points_figure,
    save_figure,
)

QUERIES, NEAREST, MOST = 12, 6, 1000


def pictures_of(cfg: Config, backbone: Backbone, folder: Path) -> list[Section]:
    """Draws what can be drawn of a run.

    Args:
        cfg: Its config.
        backbone: What it has trained.
        folder: For the pictures.
    """
    sections = []
    seed = cfg.randomness.seed
    if cfg.data_preprocessor.get("mixer") and len(backbone.mean) == 3:
        set_random_seed(seed)
        views, mixtures = draw_mixtures(cfg, 8, seed)
        noted = cfg.data_preprocessor
        figure = mixture_figure(views, mixtures, noted.mean, noted.std, title="")
        path = save_figure(figure, folder / "mixtures.png")
        sections.append(Section("Mixtures", pictures={"own image, partner, mask, mixture": path}))
    settings = held_back(cfg)
    images = images_for(backbone, settings.pop("source"), **settings)
    rows = range(min(len(images), MOST))
    features = {}
    kept: list[int] = []
    for name, state in (("before", before(cfg, backbone)), ("after", backbone.state)):
        network = build_backbone(backbone._replace(state=state))
        features[name], kept, _ = features_of(network, backbone, images, rows, 64, 0)
    k = min(NEAREST, len(kept) - 1)
    if k < 1:
        return sections
    neighbours = {
        f"nearest neighbours {name} training, and the cosine of their features": save_figure(
            draw_neighbours(images, found, kept, QUERIES, k, name), folder / f"{name}.png"
        )
        for name, found in features.items()
    }
    sections.append(Section("Neighbours among images held back", pictures=neighbours))
    if len(kept) >= 20:
        labels = torch.zeros(len(kept), dtype=torch.int64)
        classes = None
        if images.source.labels is not None and len(images.source.classes or ()) <= 20:
            labels = torch.from_numpy(images.get_gt_labels()[kept])
            classes = images.source.classes
        points = {name: embed(found) for name, found in features.items()}
        path = save_figure(points_figure(points, labels, classes or ["image"]), folder / "map.png")
        sections.append(
            Section("Map", pictures={"t-SNE of the features of images held back": path})
        )
    return sections


def held_back(cfg: Config) -> dict[str, Any]:
    """Which images are held back, as arguments of AnyImages."""
    wanted = ("source", "part", "held_back", "leave_out")
    dataset = cfg.default_hooks.label_free.images.dataset
    return {name: value for name, value in dataset.items() if name in wanted}


def before(cfg: Config, backbone: Backbone) -> dict[str, torch.Tensor]:
    """The backbone's weights that training has started from."""
    if cfg.get("load_from"):
        state = read_checkpoint(cfg.load_from).state
        return {
            name.removeprefix("backbone."): value
            for name, value in state.items()
            if name.startswith("backbone.")
        }
    set_random_seed(cfg.randomness.seed)
    model = build_model(cfg)
    model.init_weights()
    state = model.backbone.state_dict()
    return {name: state[name] for name in backbone.state}
