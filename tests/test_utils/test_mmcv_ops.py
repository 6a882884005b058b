"""Operators of mmcv by torchvision: mmcv's compiled results, naive ones in double precision, gradients, odd inputs."""

from __future__ import annotations

import sys

import pytest
import torch
from mmcv.ops import batched_nms, nms, roi_align, soft_nms
from support.compiled_operators import (
    BOXES,
    GRADIENT,
    KEPT,
    MAPS,
    ROI_ALIGN,
    ROIS,
    SCORES,
    SOFT_NMS,
)
from support.naive_operators import naive_nms, naive_roi_align, naive_soft_nms
from support.needs_detection import needs_detection
from torch import Tensor

from mixssl.utils import mmcv_ops

WAYS = [(aligned, ratio) for aligned in (True, False) for ratio in (0, 2)]
SCALE = 0.5
LOW = [torch.float16, torch.bfloat16]


@pytest.fixture(autouse=True)
def _torchvisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has mmcv's functions call what is tested here where mmcv's own operators are compiled, too."""
    for name in ("nms", "roi_align"):
        monkeypatch.setattr(sys.modules[f"mmcv.ops.{name}"], "ext_module", mmcv_ops)


def _random_boxes(number: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Boxes that overlap now and then, among them some without area, and scores of which some are equal."""
    generator = torch.Generator().manual_seed(seed)
    corners = 20 * torch.rand(number, 2, generator=generator)
    sides = 5 + 15 * torch.rand(number, 2, generator=generator)
    sides[::10] = 0
    scores = torch.rand(number, generator=generator).mul(50).round() / 50
    return torch.cat((corners, corners + sides), dim=1), scores


def _distinct_scores(number: int) -> Tensor:
    """Scores in a random order, no two equal in bfloat16 either."""
    return torch.randperm(number, generator=torch.Generator().manual_seed(2)) / 64


def _random_regions(number: int = 12) -> tuple[Tensor, Tensor]:
    """Maps (2, 3, 10, 12), and regions of an image twice as large: inside, across the edge, without area, outside."""
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 3, 10, 12, generator=generator)
    boxes, _ = _random_boxes(number - 1)
    boxes = torch.cat((boxes - 8, torch.tensor([[90.0, 90, 120, 110]])))
    return maps, torch.cat((torch.arange(number)[:, None] % 2, boxes), dim=1)


@pytest.mark.parametrize(("aligned", "ratio"), WAYS)
def test_roi_align_is_the_compiled_one_to_the_bit(aligned: bool, ratio: int) -> None:
    found = roi_align(MAPS, ROIS, 2, SCALE, ratio, "avg", aligned)
    assert found.flatten().tolist() == torch.tensor(ROI_ALIGN[aligned, ratio]).tolist()


def test_the_gradient_of_roi_align_is_the_compiled_one_to_the_bit() -> None:
    maps = MAPS.clone().requires_grad_()
    out = roi_align(maps, ROIS, 2, SCALE, 0, "avg", True)
    (out * torch.arange(out.numel()).view_as(out)).sum().backward()
    assert maps.grad is not None
    assert maps.grad.flatten().tolist() == torch.tensor(GRADIENT).tolist()


@pytest.mark.parametrize(("threshold", "offset"), KEPT)
def test_nms_keeps_what_the_compiled_one_keeps(threshold: float, offset: int) -> None:
    dets, kept = nms(BOXES, SCORES, threshold, offset)
    assert kept.tolist() == KEPT[threshold, offset]
    assert dets.equal(torch.cat((BOXES, SCORES[:, None]), dim=1)[kept])


@pytest.mark.parametrize("method", SOFT_NMS)
def test_soft_nms_takes_what_the_compiled_one_takes(method: str) -> None:
    dets, taken = soft_nms(BOXES, SCORES, 0.3, 0.5, 0.05, method)
    order, scores = SOFT_NMS[method]
    assert taken.tolist() == order and dets[:, :4].equal(BOXES[taken])
    torch.testing.assert_close(dets[:, 4], torch.tensor(scores))


@pytest.mark.parametrize(("aligned", "ratio"), WAYS)
def test_roi_align_and_its_gradient_against_loops(aligned: bool, ratio: int) -> None:
    maps, rois = (x.double() for x in _random_regions())
    maps.requires_grad_()
    found, expected = (
        roi_align(maps, rois, 3, SCALE, ratio, "avg", aligned),
        naive_roi_align(maps, rois, 3, SCALE, ratio, aligned),
    )
    assert expected.count_nonzero() > 100
    torch.testing.assert_close(found, expected)
    weight = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).double()
    gradients = [torch.autograd.grad((out * weight).sum(), maps)[0] for out in (found, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("aligned", "ratio"), WAYS)
def test_gradcheck_of_roi_align(aligned: bool, ratio: int) -> None:
    maps, rois = (x.double() for x in _random_regions(4))
    maps = maps[:, :1].clone().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: roi_align(x, rois, 2, SCALE, ratio, "avg", aligned), maps
    )


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_nms_against_a_loop(threshold: float, offset: int) -> None:
    boxes, scores = _random_boxes(120)
    assert len(scores.unique()) < len(scores)
    _, kept = nms(boxes, scores, threshold, offset)
    assert kept.tolist() == naive_nms(boxes.double(), scores, threshold, offset)
    assert 0 < len(kept) < len(boxes)


@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("method", ["naive", "linear", "gaussian"])
def test_soft_nms_against_a_loop(method: str, offset: int) -> None:
    boxes, scores = _random_boxes(60)
    dets, taken = soft_nms(boxes, scores, 0.3, 0.5, 0.1, method, offset)
    expected = naive_soft_nms(boxes.double(), scores.double(), 0.3, 0.5, 0.1, method, offset)
    assert taken.tolist() == [i for i, _ in expected]
    torch.testing.assert_close(dets[:, 4], torch.tensor([score for _, score in expected]))
    assert dets[:, :4].equal(boxes[taken])
    assert (len(taken) < len(boxes)) and (dets[:, 4] <= scores[taken]).all()


def test_an_overlap_of_exactly_the_threshold_is_kept_as_by_the_compiled_one() -> None:
    boxes = torch.tensor(
        [[0.0, 0, 10, 10], [0, 0, 3, 10]]
    )  # IoU: 0.3 in float32, above 0.3 in double
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.3)[1].tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["nms", "soft_nms"])
@pytest.mark.parametrize("split", [10_000, 20])
def test_batched_nms_treats_every_class_by_itself(kind: str, split: int) -> None:
    boxes, scores = _random_boxes(60)[0], _distinct_scores(60)
    labels = torch.arange(60) % 3
    cfg = {"type": kind, "iou_threshold": 0.4, "split_thr": split}
    dets, kept = batched_nms(boxes, scores, labels, cfg)
    expected = []
    for label in range(3):
        rows = (labels == label).nonzero()[:, 0]
        own = (boxes[rows].double(), scores[rows].double(), 0.4)
        if kind == "nms":
            expected += [(scores[rows[i]].item(), int(rows[i])) for i in naive_nms(*own)]
        else:
            found = naive_soft_nms(*own, 0.5, 1e-3, "linear")
            expected += [(score, int(rows[i])) for i, score in found]
    assert sorted(kept.tolist()) == sorted(row for _, row in expected)
    by_row = {row: score for score, row in expected}
    torch.testing.assert_close(dets[:, 4], torch.tensor([by_row[row] for row in kept.tolist()]))
    assert dets[:, 4].diff().le(0).all() and dets[:, :4].equal(boxes[kept])


@needs_detection
def test_nms_of_several_classes_as_detectors_end_with_it() -> None:
    from mmdet.models.layers import multiclass_nms

    boxes, scores = _random_boxes(30)[0], _distinct_scores(30)
    scores = torch.stack(
        (scores, 0.99 * scores.flip(0), torch.zeros(30)), dim=1
    )  # last, background
    dets, labels = multiclass_nms(boxes, scores, 0.2, {"type": "nms", "iou_threshold": 0.4}, 15)
    expected = []
    for label in range(2):
        rows = (scores[:, label] > 0.2).nonzero()[:, 0]
        kept = naive_nms(boxes[rows].double(), scores[rows, label].double(), 0.4)
        expected += [(scores[rows[i], label].item(), label) for i in kept]
    expected = sorted(expected, reverse=True)[:15]
    assert dets[:, 4].tolist() == [score for score, _ in expected] and len(dets) == 15
    assert sorted(zip(dets[:, 4].tolist(), labels.tolist(), strict=True)) == sorted(expected)


def test_no_boxes_and_no_regions() -> None:
    boxes, scores = torch.zeros(0, 4), torch.zeros(0)
    for dets, kept in (nms(boxes, scores, 0.5), soft_nms(boxes, scores)):
        assert dets.shape == (0, 5) and kept.shape == (0,) and kept.dtype == torch.int64
    maps = MAPS.clone().requires_grad_()
    out = roi_align(maps, torch.zeros(0, 5), (2, 3), SCALE, 0, "avg", True)
    assert out.shape == (0, 1, 2, 3)
    out.sum().backward()
    assert maps.grad is not None and not maps.grad.any()


def test_of_equal_boxes_with_equal_scores_the_first_is_kept() -> None:
    boxes, scores = torch.tensor([[0.0, 0, 4, 4]]).repeat(5, 1), torch.full((5,), 0.5)
    assert nms(boxes, scores, 0.5)[1].tolist() == [0]
    assert soft_nms(boxes, scores, 0.5, method="naive")[1].tolist() == [0]


def test_boxes_without_area_overlap_nothing() -> None:
    boxes = torch.tensor([[3.0, 3, 3, 3], [3, 3, 3, 3], [0, 0, 9, 9]])
    scores = torch.tensor([0.9, 0.8, 0.7])
    assert nms(boxes, scores, 0.5)[1].tolist() == [0, 1, 2]
    for method in ("naive", "linear", "gaussian"):
        dets, taken = soft_nms(boxes, scores, method=method)
        assert taken.tolist() == [0, 1, 2] and dets[:, 4].equal(scores)


def test_a_region_that_ends_before_it_starts_or_is_not_a_number_is_refused() -> None:
    for corner in (-1.0, float("nan")):
        rois = torch.tensor([[0.0, 1, 1, 4, 4], [0, 1, 1, corner, 4]])
        with pytest.raises(ValueError, match="ends before it starts, or is not a number: row 1 of"):
            roi_align(MAPS, rois, 2, SCALE, 0, "avg", True)


@pytest.mark.parametrize("dtype", LOW)
def test_what_is_in_low_precision_is_computed_in_float32_and_rounded(dtype: torch.dtype) -> None:
    maps, rois = (x.to(dtype) for x in _random_regions())
    maps.requires_grad_()
    exact = maps.detach().float().requires_grad_()
    outs = [roi_align(x, rois.to(x.dtype), 3, SCALE, 2, "avg", True) for x in (maps, exact)]
    assert outs[0].dtype == dtype and outs[0].equal(outs[1].to(dtype))
    weight = torch.randn(outs[0].shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    for out in outs:
        out.backward(weight.to(out.dtype))
    assert maps.grad is not None and exact.grad is not None
    assert maps.grad.dtype == dtype and maps.grad.equal(exact.grad.to(dtype))

    boxes, scores = _random_boxes(60)[0].to(dtype), _distinct_scores(60).to(dtype)
    for operator in (nms, soft_nms):
        dets, kept = operator(boxes, scores, 0.4)
        assert dets.dtype == dtype and kept.equal(operator(boxes.float(), scores.float(), 0.4)[1])


def test_autocast_changes_nothing() -> None:
    """As with mmcv's own: what comes in decides, here maps in bfloat16, boxes in float32, scores in bfloat16."""
    maps, rois = _random_regions()
    boxes, scores = _random_boxes(60)
    low = maps.bfloat16(), rois.bfloat16()
    plain = [
        roi_align(maps, rois, 3, SCALE, 0, "avg", True),
        roi_align(*low, 3, SCALE, 0, "avg", True),
        *nms(boxes, scores.bfloat16(), 0.4),
    ]
    with torch.autocast("cpu", torch.bfloat16):
        under = [
            roi_align(maps, rois, 3, SCALE, 0, "avg", True),
            roi_align(*low, 3, SCALE, 0, "avg", True),
            *nms(boxes, scores.bfloat16(), 0.4),
        ]
    for a, b in zip(plain, under, strict=True):
        assert a.dtype == b.dtype and a.equal(b)


def test_inputs_are_not_modified() -> None:
    boxes, scores = _random_boxes(30)
    maps, rois = _random_regions()
    before = [x.clone() for x in (boxes, scores, maps, rois)]
    nms(boxes, scores, 0.3, 1)
    soft_nms(boxes, scores, 0.3, offset=1)
    roi_align(maps, rois, 2, SCALE, 0, "avg", True)
    assert all(a.equal(b) for a, b in zip(before, (boxes, scores, maps, rois), strict=True))


@pytest.mark.gpu
@pytest.mark.parametrize("offset", [0, 1])
def test_on_a_gpu_nms_keeps_the_same(offset: int) -> None:
    boxes, _ = _random_boxes(500)
    scores = torch.randperm(500, generator=torch.Generator().manual_seed(2)) / 500
    for threshold in (0.3, 0.5, 0.7):
        _, kept = nms(boxes, scores, threshold, offset)
        _, there = nms(boxes.to("cuda"), scores.to("cuda"), threshold, offset)
        assert there.device.type == "cuda" and there.cpu().equal(kept)
    dets, taken = soft_nms(boxes.to("cuda"), scores.to("cuda"))
    assert dets.device.type == "cuda" and taken.cpu().equal(soft_nms(boxes, scores)[1])
    assert nms(boxes[:0].to("cuda"), scores[:0].to("cuda"), 0.5)[1].shape == (0,)


@pytest.mark.gpu
@pytest.mark.parametrize(("aligned", "ratio"), WAYS)
@pytest.mark.parametrize("dtype", [torch.float32, *LOW])
def test_on_a_gpu_roi_align_and_its_gradient_are_the_same(
    aligned: bool, ratio: int, dtype: torch.dtype
) -> None:
    maps, rois = _random_regions()
    found = []
    for device in ("cpu", "cuda"):
        x = maps.to(device, dtype).requires_grad_()
        out = roi_align(x, rois.to(device, dtype), 3, SCALE, ratio, "avg", aligned)
        out.square().sum().backward()
        assert out.dtype == dtype and x.grad is not None
        found.append((out.detach().cpu(), x.grad.cpu()))
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(here, there)


@pytest.mark.gpu
def test_on_a_gpu_autocast_leaves_the_maps_in_half_precision() -> None:
    maps, rois = (x.to("cuda") for x in _random_regions())
    with torch.autocast("cuda", torch.float16):
        assert roi_align(maps.half(), rois.half(), 3, SCALE, 0, "avg", True).dtype == torch.float16
        assert roi_align(maps, rois, 3, SCALE, 0, "avg", True).dtype == torch.float32
