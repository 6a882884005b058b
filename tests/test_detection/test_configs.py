"""Every detection config builds, trains, and is the protocol that it says it is."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import METRICS, MODELS, TRANSFORMS, DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from support.detection import build_detector, shrunk_detector, write_voc
from support.needs_detection import needs_detection
from support.tools import ROOT, call_tool
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

import mixssl  # noqa: F401  (adds the scope)

pytestmark = needs_detection

FOLDER = ROOT / "configs/benchmarks/detection"
PAPERS = sorted(
    path.name for path in FOLDER.glob("*.py") if path.stem.endswith(("_voc0712", "_coco"))
)
PROTOCOL = {
    "24k": (24000, [18000, 22000], 100),
    "1x": (90000, [60000, 80000], 1000),
    "2x": (180000, [120000, 160000], 1000),
}
"""Iterations, where the learning rate drops, and the warm-up."""
THRESHOLDS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


def _config(name: str) -> Config:
    return Config.fromfile(FOLDER / name)


def _batch(masks: bool) -> dict:
    """Two images of 64 by 96 pixels, as a loader gives them."""
    from mmdet.testing import demo_mm_inputs

    return demo_mm_inputs(2, (3, 64, 96), num_items=[2, 3], num_classes=20, with_mask=masks)


def test_the_configs_that_the_papers_and_small_backbones_ask_for_are_there() -> None:
    assert {Path(name).stem for name in PAPERS} == {
        "faster_rcnn_r50_c4_24k_voc0712",
        "faster_rcnn_r18_c4_24k_voc0712",
        "faster_rcnn_r18_fpn_24k_voc0712",
        *(f"mask_rcnn_r50_{kind}_{n}x_coco" for kind in ("c4", "fpn") for n in (1, 2)),
        *(f"mask_rcnn_r18_{kind}_1x_coco" for kind in ("c4", "fpn")),
    }


@pytest.mark.parametrize("name", PAPERS)
def test_a_config_takes_a_training_step_at_small_size(name: str) -> None:
    cfg = _config(name)
    model = build_detector(shrunk_detector(cfg))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    wrapper = Runner.build_optim_wrapper(_bare(model), copy.deepcopy(cfg.optim_wrapper))
    model.train()
    data = model.data_preprocessor(_batch(masks="mask" in name), True)
    total, losses = model.parse_losses(model(**data, mode="loss"))
    wrapper.backward(total)
    # Nothing is frozen: every parameter is trained and every statistic follows the data.
    assert all(p.grad.isfinite().all() and p.grad.any() for p in model.parameters())
    wrapper.step()
    after = model.state_dict()
    assert not [key for key in after if "running" in key and after[key].equal(before[key])]
    assert not after["backbone.conv1.weight"].equal(before["backbone.conv1.weight"])
    terms = {"loss_rpn_cls", "loss_rpn_bbox", "loss_cls", "loss_bbox"}
    assert terms | ({"loss_mask"} if "mask" in name else set()) <= losses.keys()
    assert all(value.isfinite().all() for value in losses.values())


def _bare(model: nn.Module) -> Runner:
    """As much of a runner as building an optimizer needs."""
    runner = Runner.__new__(Runner)
    runner.model = model
    return runner


@pytest.mark.parametrize("name", PAPERS)
def test_norms_are_synchronised_trained_and_not_decayed(name: str) -> None:
    cfg = _config(name)
    _check_norms(name, cfg)
    model = build_detector(shrunk_detector(cfg))
    wrapper = Runner.build_optim_wrapper(_bare(model), copy.deepcopy(cfg.optim_wrapper))
    decay = {
        id(p): group["weight_decay"] for group in wrapper.param_groups for p in group["params"]
    }
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            assert decay[id(parameter)] == (0 if isinstance(module, _BatchNorm) else 1e-4)


def test_pixels_are_normalised_as_in_pre_training(subtests: pytest.Subtests) -> None:
    pretraining = Config.fromfile(ROOT / "configs/unmix/mocov2_r50_in1k.py").data_preprocessor
    images = torch.randint(0, 256, (1, 3, 32, 64), dtype=torch.uint8)  # BGR, as files are loaded
    pretraining.pop("mixer")
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        views = MODELS.build(pretraining)({"inputs": [images, images], "data_samples": None}, True)
    batch = _batch(masks=False)
    for name in PAPERS:
        with subtests.test(name):
            detector = MODELS.build(_config(name).model.data_preprocessor)
            given = {"inputs": [images[0]], "data_samples": batch["data_samples"][:1]}
            assert torch.equal(detector(given, True)["inputs"], views["inputs"][0])


def test_schedule_scales_and_precise_bn_are_the_protocols(subtests: pytest.Subtests) -> None:
    for name in PAPERS:
        with subtests.test(name):
            _check_protocol(name)


def _check_protocol(name: str) -> None:
    cfg = _config(name)
    (protocol,) = (PROTOCOL[part] for part in name.split("_") if part in PROTOCOL)
    iterations, drops, warm_up = protocol
    assert (cfg.train_cfg.type, cfg.train_cfg.max_iters) == ("IterBasedTrainLoop", iterations)
    linear, steps = cfg.param_scheduler
    assert (linear.end, linear.start_factor) == (warm_up, 0.001)
    assert (steps.milestones, steps.gamma, steps.end) == (drops, 0.1, iterations)
    assert not linear.by_epoch and not steps.by_epoch
    assert cfg.optim_wrapper.optimizer == {
        "type": "SGD",
        "lr": 0.02,
        "momentum": 0.9,
        "weight_decay": 1e-4,
    }
    assert cfg.train_dataloader.batch_size * 8 == cfg.auto_scale_lr.base_batch_size == 16
    (resize,) = (step for step in cfg.train_pipeline if step.type == "RandomChoiceResize")
    smallest = 480 if "voc" in name else 640
    assert resize.scales == [(1333, short) for short in range(smallest, 801, 32)]
    (resize,) = (step for step in cfg.test_pipeline if step.type == "Resize")
    assert resize.scale == (1333, 800)
    assert cfg.default_hooks.precise_bn == {"type": "mixssl.PreciseBNHook", "num_iters": 200}
    assert {"stop_on_non_finite_loss", "graceful_stop"} <= cfg.default_hooks.keys()
    assert cfg.model.init_cfg == {"type": "mixssl.PretrainedBackbone", "checkpoint": None}


def _check_norms(name: str, cfg: Config) -> None:
    model = MODELS.build(cfg.model)
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    assert norms and all(isinstance(module, nn.SyncBatchNorm) for module in norms)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(module.training for module in model.train().modules())
    shared = getattr(model.roi_head, "shared_head", None)
    assert (shared is not None) == ("c4" in name)
    if shared is not None:  # the extra norm comes last, after the last block
        assert isinstance(shared.norm, nn.SyncBatchNorm) and shared.norm.num_features in (512, 2048)


def test_voc_is_measured_over_the_thresholds_from_a_half_on() -> None:
    cfg = _config("faster_rcnn_r50_c4_24k_voc0712.py")
    assert cfg.val_evaluator == cfg.test_evaluator and cfg.val_evaluator.iou_thrs == THRESHOLDS
    box = np.array([[0.0, 0, 99, 99]])  # of 100 by 100 pixels, as VOC counts

    def figures(found: list[float]) -> dict:
        metric = METRICS.build(copy.deepcopy(cfg.val_evaluator))
        metric.dataset_meta = {"classes": ("cell",)}
        sample = {
            "gt_instances": InstanceData(bboxes=torch.tensor(box), labels=torch.tensor([0])),
            "ignored_instances": InstanceData(
                bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
            ),
            "pred_instances": InstanceData(
                bboxes=torch.tensor([found]), scores=torch.ones(1), labels=torch.tensor([0])
            ),
        }
        metric.process({}, [sample])
        return metric.compute_metrics(metric.results)

    perfect = figures([0.0, 0, 99, 99])
    assert set(perfect) == {"mAP", *(f"AP{round(100 * t)}" for t in THRESHOLDS)}
    assert all(value == pytest.approx(1) for value in perfect.values())
    # 72 of 100 columns: enough for .5, .55, .6, .65 and .7, five of the ten.
    partly = figures([0.0, 0, 71, 99])
    assert (partly["AP50"], partly["AP75"]) == (1, 0) and partly["mAP"] == pytest.approx(0.5)


def test_difficult_objects_are_trained_on_and_not_counted(tmp_path: Path) -> None:
    from mmdet.registry import DATASETS

    objects = [("dog", 0, (1, 1, 40, 40)), ("cat", 1, (50, 20, 90, 60))]
    for year in (2007, 2012):
        write_voc(tmp_path, year, "trainval", objects)
    write_voc(tmp_path, 2007, "test", objects)
    cfg = _config("faster_rcnn_r50_c4_24k_voc0712.py")
    for dataset in (*cfg.train_dataloader.dataset.datasets, cfg.test_dataloader.dataset):
        dataset.data_root = str(tmp_path)
    train = DATASETS.build(cfg.train_dataloader.dataset)
    assert len(train) == 4
    sample = train[0]["data_samples"]
    assert len(sample.gt_instances) == 2 and len(sample.ignored_instances) == 0
    sample = DATASETS.build(cfg.test_dataloader.dataset)[0]["data_samples"]
    assert len(sample.gt_instances) == len(sample.ignored_instances) == 1
    assert sample.gt_instances.bboxes.tensor.tolist() == [[0, 0, 39, 39]]


def test_transforms_and_collation_are_found(subtests: pytest.Subtests) -> None:
    for name in PAPERS:
        with subtests.test(name):
            cfg = _config(name)
            for step in (*cfg.train_pipeline, *cfg.test_pipeline):
                TRANSFORMS.build(copy.deepcopy(step))
            for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
                # Images of a batch differ in size.
                assert loader.collate_fn == {"type": "pseudo_collate"}


def test_a_run_trains_measures_and_tests(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    """The whole way of the VOC protocol, by the tools, on a detector and images of a test's size."""
    objects = [("dog", 0, (1, 1, 60, 60)), ("cat", 1, (70, 20, 110, 80))]
    for year in (2007, 2012):
        write_voc(tmp_path, year, "trainval", objects)
    write_voc(tmp_path, 2007, "test", objects)
    cfg = _config("faster_rcnn_r18_c4_24k_voc0712.py")
    cfg.model = shrunk_detector(cfg)
    for pipeline in [d.pipeline for d in cfg.train_dataloader.dataset.datasets]:
        pipeline[3].scales = [(128, 96), (112, 84)]
    for stage in ("val", "test"):
        cfg[f"{stage}_dataloader"].dataset.pipeline[1].scale = (128, 96)
    for stage, workers in (("train", 1), ("val", 0), ("test", 0)):
        cfg[f"{stage}_dataloader"] |= {"num_workers": workers, "persistent_workers": workers > 0}
    cfg.train_cfg |= {"max_iters": 3, "val_interval": 3}
    cfg.default_hooks.checkpoint.interval = 3
    cfg.default_hooks.precise_bn.num_iters = 2
    cfg.randomness.seed = 0
    cfg.experiment_name = f"detection_{tmp_path.name}"
    cfg.dump(tmp_path / "small.py")
    small, work = tmp_path / "small.py", tmp_path / "run"

    train = ("train", small, "--work-dir", work, "--data-root", tmp_path)
    assert call_tool(*train) == 2
    assert (
        "model.init_cfg.checkpoint is not set: name the pre-trained backbone"
        in capfd.readouterr().err
    )
    assert call_tool(*train, "--cfg-options", "model.init_cfg.checkpoint=random") == 0
    said = capfd.readouterr()
    heard = said.out + said.err
    assert "The backbone starts from random weights, as asked for." in heard
    assert "SyncBatchNorm (SyncBN) layers in the model will be automatically reverted" in heard
    assert "Precise BN: statistics of 21 layers are now the mean over 2 batches." in heard
    assert "pascal_voc/mAP" in heard and "pascal_voc/AP75" in heard

    assert (
        call_tool("test", small, work / "iter_3.pth", "--work-dir", work, "--data-root", tmp_path)
        == 0
    )
    assert "pascal_voc/AP75" in "".join(capfd.readouterr())
