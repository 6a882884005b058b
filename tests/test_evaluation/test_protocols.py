"""Named protocols give what their parts give."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.utils import register_all_modules
from support import tiny
from torch.utils.data import DataLoader

from mixssl.evaluation import (
    PROTOCOLS,
    accuracy,
    evaluate,
    extract_features,
    fit_linear_probe,
    majority_knn,
    weighted_knn,
)


@pytest.fixture(scope="module")
def loaders() -> tuple[DataLoader, DataLoader]:
    register_all_modules(init_default_scope=True)
    config = Config.fromfile("configs/_base_/datasets/digits.py")
    built = []
    for name, images in (("knn_bank", 230), ("knn_query", 60)):
        settings = config[name].to_dict()
        settings["dataset"]["indices"] = images
        built.append(Runner.build_dataloader(settings, seed=0))
    return built[0], built[1]


def test_all_protocols_at_once(loaders: tuple[DataLoader, DataLoader]) -> None:
    model = tiny.build(tiny.moco())
    found = evaluate(model, *loaders, list(PROTOCOLS))
    assert list(found) == list(PROTOCOLS)
    bank, query = (extract_features(model, loader) for loader in loaders)
    assert query.labels is not None
    for name, classes in {
        "knn200": weighted_knn(query.features, *bank, 200, 0.1),
        "knn5": majority_knn(query.features, *bank, 5),
        "linear": fit_linear_probe(*bank).predict(query.features),
    }.items():
        assert found[name] == pytest.approx(accuracy(classes, query.labels)), name
    bank, query = (extract_features(model, loader, "projected") for loader in loaders)
    classes = weighted_knn(query.features, *bank, 200, 0.1)
    assert query.labels is not None
    assert found["knn200_projected"] == pytest.approx(accuracy(classes, query.labels))


@pytest.mark.parametrize(
    ("names", "said"), [(["knn7"], "no protocol 'knn7'; choose from knn200"), ([], "was named")]
)
def test_unknown_names(loaders: tuple[DataLoader, DataLoader], names: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate(tiny.build(tiny.moco()), *loaders, names)


def test_queries_without_labels(loaders: tuple[DataLoader, DataLoader]) -> None:
    settings = Config.fromfile("configs/_base_/datasets/digits.py").knn_query.to_dict()
    settings["dataset"]["indices"] = 20
    query = Runner.build_dataloader(settings, seed=0)
    query.dataset.pipeline.transforms.insert(0, lambda r: {k: r[k] for k in ("img", "img_shape")})
    with pytest.raises(ValueError, match="queries have no labels"):
        evaluate(tiny.build(tiny.moco()), loaders[0], query, ["knn5"])
    assert torch.is_grad_enabled()
