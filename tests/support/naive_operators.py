"""nms, soft-nms and RoIAlign as their papers describe them, one box and one sample at a time, in double precision."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def naive_iou(a: Tensor, b: Tensor, offset: int = 0) -> float:
    """IoU of two boxes (4,); 0 where neither has an area."""

    def area(x0: float, y0: float, x1: float, y1: float) -> float:
        return max(x1 - x0 + offset, 0) * max(y1 - y0 + offset, 0)

    p, q = a.tolist(), b.tolist()
    inside = area(max(p[0], q[0]), max(p[1], q[1]), min(p[2], q[2]), min(p[3], q[3]))
    union = area(*p) + area(*q) - inside
    return inside / union if union else 0.0


def naive_nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int = 0) -> list[int]:
    """Indices of what is kept, equal scores in the order of torch's sort, as in mmcv."""
    kept: list[int] = []
    for i in scores.sort(descending=True).indices.tolist():
        if all(naive_iou(boxes[i], boxes[j], offset) <= threshold for j in kept):
            kept.append(i)
    return kept


def naive_soft_nms(
    boxes: Tensor,
    scores: Tensor,
    threshold: float,
    sigma: float,
    min_score: float,
    method: str,
    offset: int = 0,
) -> list[tuple[int, float]]:
    """Indices of the boxes taken, with the scores they were taken with."""
    left = dict(enumerate(scores.tolist()))
    taken = []
    while left:
        best = max(left, key=lambda i: left[i])
        taken.append((best, left.pop(best)))
        for i in list(left):
            iou = naive_iou(boxes[best], boxes[i], offset)
            if method == "gaussian":
                left[i] *= math.exp(-iou * iou / sigma)
            elif iou >= threshold:
                left[i] *= 1 - iou if method == "linear" else 0
            if left[i] < min_score:
                del left[i]
    return taken


def naive_roi_align(
    maps: Tensor, rois: Tensor, size: int, scale: float, ratio: int, aligned: bool
) -> Tensor:
    """RoIAlign of maps (N, C, H, W) to (K, C, size, size); autograd gives its gradient."""
    out = []
    for batch, *corners in rois.double().tolist():
        x0, y0, x1, y1 = (value * scale - (0.5 if aligned else 0.0) for value in corners)
        width, height = x1 - x0, y1 - y0
        if not aligned:
            width, height = max(width, 1.0), max(height, 1.0)
        nx = ratio or math.ceil(width / size)
        ny = ratio or math.ceil(height / size)
        for row in range(size):
            for column in range(size):
                samples = [
                    _bilinear(
                        maps[int(batch)],
                        y0 + (row + (iy + 0.5) / ny) * height / size,
                        x0 + (column + (ix + 0.5) / nx) * width / size,
                    )
                    for iy in range(ny)
                    for ix in range(nx)
                ]
                out.append(sum(samples, maps.new_zeros(maps.shape[1])) / max(len(samples), 1))
    return torch.stack(out).view(len(rois), size, size, -1).permute(0, 3, 1, 2)


def _bilinear(image: Tensor, y: float, x: float) -> Tensor:
    """A map (C, H, W) between its pixels; held for one pixel beyond its edge, and zero farther out."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return image.new_zeros(len(image))
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    dy, dx = y - top, x - left
    upper = (1 - dx) * image[:, top, left] + dx * image[:, top, right]
    lower = (1 - dx) * image[:, bottom, left] + dx * image[:, bottom, right]
    return (1 - dy) * upper + dy * lower
