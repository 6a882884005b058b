"""Detectors of the digits and of the blood cells: data, metric and a step, at small size."""

from __future__ import annotations

import copy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.registry import DATASETS, METRICS, MODELS, DefaultScope
from mmengine.structures import InstanceData
from support.detection import build_detector
from support.needs_detection import needs_detection
from support.tools import ROOT

from mixssl.cli.launch import set_data_root

pytestmark = needs_detection

FOLDER = ROOT / "configs/benchmarks/detection"
DIGITS = FOLDER / "mask_rcnn_r18_fpn_digits.py"
BLOOD = FOLDER / "faster_rcnn_r18_fpn_bccd.py"


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


def _scenes(loader: str, number: int) -> tuple[dict, dict]:
    """A batch of scenes as a config's loader gives them, and what the data set says of itself."""
    cfg = Config.fromfile(DIGITS)[loader].dataset
    scenes = DATASETS.build({**cfg, "num_scenes": number})
    return pseudo_collate([scenes[i] for i in range(number)]), scenes.metainfo


def _blood(root: Path) -> Path:
    """Four photographs with cells; one of them has a box without area, one nothing else."""
    for folder in ("Annotations", "ImageSets/Main", "JPEGImages"):
        (root / folder).mkdir(parents=True)
    box = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
    cells = [
        [("RBC", 40, 60, 140, 160), ("WBC", 300, 200, 460, 340)],
        [("Platelets", 500, 100, 540, 140), ("RBC", 504, 337, 504, 337)],
        [("RBC", 181, 329, 181, 329)],
        [("RBC", 1, 1, 120, 110), ("RBC", 560, 400, 640, 480)],
    ]
    names = [f"image_{i}" for i in range(len(cells))]
    for name, things in zip(names, cells, strict=True):
        image = np.full((480, 640, 3), 200, dtype=np.uint8)
        objects = ""
        for kind, *edges in things:
            image[edges[1] : edges[3], edges[0] : edges[2]] = 90
            objects += f"<object><name>{kind}</name>{box.format(*edges)}</object>"
        cv2.imwrite(str(root / f"JPEGImages/{name}.jpg"), image)
        (root / f"Annotations/{name}.xml").write_text(f"<annotation>{objects}</annotation>")
    for split in ("trainval", "test"):
        (root / f"ImageSets/Main/{split}.txt").write_text("\n".join(names))
    return root


def _moved(cfg: Config, root: Path) -> Config:
    for loader in ("train_dataloader", "val_dataloader"):
        cfg[loader].dataset.data_root = str(root)
    return cfg


def _small(cfg: Config) -> dict:
    """The config's model, a quarter as wide and with few regions."""
    model = copy.deepcopy(cfg.model.to_dict())
    model["backbone"] |= {"base_channels": 4, "stem_channels": 4}
    model["neck"] |= {"in_channels": [4, 8, 16, 32]}
    model["train_cfg"]["rcnn"]["sampler"]["num"] = 8
    model["roi_head"]["bbox_head"]["fc_out_channels"] = 8
    return model


def _as_predicted(batch: dict, instances: list[InstanceData]) -> list[dict]:
    """Samples as a detector hands them to a metric."""
    samples = []
    for sample, found in zip(batch["data_samples"], instances, strict=True):
        sample = copy.deepcopy(sample)
        sample.pred_instances = found
        samples.append(sample.to_dict())
    return samples


def _perfect(batch: dict) -> list[InstanceData]:
    """Every annotation as a detection."""
    found = []
    for sample in batch["data_samples"]:
        truth = sample.gt_instances
        masks = torch.from_numpy(truth.masks.masks.astype(bool)) if "masks" in truth else None
        one = InstanceData(
            bboxes=truth.bboxes.tensor, labels=truth.labels, scores=torch.ones(len(truth.labels))
        )
        if masks is not None:
            one.masks = masks
        found.append(one)
    return found


def _useless(batch: dict) -> list[InstanceData]:
    """One detection in each image where nothing is."""
    found = []
    for sample in batch["data_samples"]:
        height, width = sample.ori_shape
        masks = torch.zeros(1, height, width, dtype=torch.bool)
        masks[:, -2:, -2:] = True
        found.append(
            InstanceData(
                bboxes=torch.tensor([[width - 2.0, height - 2.0, width, height]]),
                labels=torch.zeros(1, dtype=torch.long),
                scores=torch.ones(1),
                masks=masks,
            )
        )
    return found


def _measure(cfg: dict, meta: dict, samples: list[dict]) -> dict[str, float]:
    metric = METRICS.build(cfg)
    metric.dataset_meta = meta
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_box_and_mask_ap_of_a_perfect_prediction_is_one_and_of_a_useless_one_zero() -> None:
    batch, meta = _scenes("val_dataloader", 12)
    coco = Config.fromfile(DIGITS).val_evaluator
    metrics = _measure(coco, meta, _as_predicted(batch, _perfect(batch)))
    assert {
        metrics[f"coco/{kind}_mAP{iou}"] for kind in ("bbox", "segm") for iou in ("", "_50", "_75")
    } == {1.0}
    metrics = _measure(coco, meta, _as_predicted(batch, _useless(batch)))
    assert {
        metrics[f"coco/{kind}_mAP{iou}"] for kind in ("bbox", "segm") for iou in ("", "_50", "_75")
    } == {0.0}


def test_boxes_a_pixel_off_cost_ap_at_strict_thresholds_alone() -> None:
    batch, meta = _scenes("val_dataloader", 12)
    found = _perfect(batch)
    for one in found:
        one.bboxes = one.bboxes + 1
    metrics = _measure(Config.fromfile(DIGITS).val_evaluator, meta, _as_predicted(batch, found))
    assert metrics["coco/bbox_mAP_50"] == 1.0
    assert 0.5 < metrics["coco/bbox_mAP"] < 1.0
    assert metrics["coco/segm_mAP"] == 1.0


def test_vocs_ap_of_a_perfect_prediction_is_one_and_of_none_zero(tmp_path: Path) -> None:
    cfg = _moved(Config.fromfile(BLOOD), _blood(tmp_path / "bccd"))
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(len(dataset))])
    assert [len(sample.gt_instances) for sample in batch["data_samples"]] == [2, 1, 0, 2]
    metrics = _measure(cfg.val_evaluator, dataset.metainfo, _as_predicted(batch, _perfect(batch)))
    assert metrics["pascal_voc/mAP"] == pytest.approx(1.0)
    assert metrics["pascal_voc/AP50"] == metrics["pascal_voc/AP95"] == 1.0
    nothing = [
        InstanceData(
            bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long), scores=torch.zeros(0)
        )
        for _ in range(len(dataset))
    ]
    metrics = _measure(cfg.val_evaluator, dataset.metainfo, _as_predicted(batch, nothing))
    assert metrics["pascal_voc/mAP"] == 0.0


def test_scenes_reach_a_detector_as_they_were_painted() -> None:
    batch, _ = _scenes("train_dataloader", 3)
    scenes = DATASETS.build({"type": "mixssl.DigitScenes", "num_scenes": 3})
    for number, sample in enumerate(batch["data_samples"]):
        scene = scenes[number]
        assert (batch["inputs"][number].permute(1, 2, 0).numpy() == scene["img"]).all()
        boxes = [instance["bbox"] for instance in scene["instances"]]
        assert sample.gt_instances.bboxes.tensor.tolist() == boxes
        for box, mask in zip(boxes, sample.gt_instances.masks.masks, strict=True):
            rows, columns = np.nonzero(mask)
            assert [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1] == box


@pytest.mark.parametrize("path", [DIGITS, BLOOD], ids=lambda path: path.stem)
def test_a_config_takes_a_step_at_small_size_and_predicts(path: Path, tmp_path: Path) -> None:
    cfg = Config.fromfile(path)
    if path == BLOOD:
        cfg = _moved(cfg, _blood(tmp_path / "bccd"))
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        assert len(dataset) == 3, "an image without usable boxes is left out of training"
    else:
        dataset = DATASETS.build({**cfg.train_dataloader.dataset, "num_scenes": 2})
    batch = pseudo_collate([dataset[i] for i in range(2)])
    model = build_detector(_small(cfg)).train()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = model.train_step(batch, OptimWrapper(optimizer))
    terms = {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox"}
    assert terms | ({"loss_mask"} if path == DIGITS else set()) <= losses.keys()
    assert all(value.isfinite().all() for value in losses.values())
    assert not [name for name, value in model.named_parameters() if value.equal(before[name])]
    with torch.no_grad():
        samples = model.eval().test_step(batch)
    assert all(("masks" in sample.pred_instances) == (path == DIGITS) for sample in samples)


def test_pre_training_on_blood_cells_takes_a_step(tmp_path: Path) -> None:
    cfg = Config.fromfile(FOLDER / "pretrain_mocov2_r18_bccd.py")
    set_data_root(cfg, str(_blood(tmp_path / "bccd")))
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        batch = default_collate([dataset[i] for i in range(4)])
        model = MODELS.build(
            {**cfg.model, "queue_len": 8, "data_preprocessor": cfg.data_preprocessor}
        )
    assert [tuple(view.shape) for view in batch["inputs"]] == [(4, 3, 64, 64)] * 2
    assert dataset.images.shape[1:3] == (240, 320)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = model.train().train_step(batch, OptimWrapper(optimizer))
    assert losses["loss_clean"].isfinite() and losses["loss_clean"] > 0


def test_the_blood_cells_backbone_is_the_one_that_is_pre_trained() -> None:
    detector, pretraining = (
        Config.fromfile(BLOOD),
        Config.fromfile(FOLDER / "pretrain_mocov2_r18_bccd.py"),
    )
    for key in ("depth", "stem_channels", "base_channels"):
        assert detector.model.backbone[key] == pretraining.model.backbone[key]
    for key in ("mean", "std"):
        assert detector.model.data_preprocessor[key] == pretraining.data_preprocessor[key]
    assert (
        pretraining.train_dataloader.dataset.dataset.ann_file
        == detector.train_dataloader.dataset.ann_file
    )
