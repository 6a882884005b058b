"""Three of mmcv's operators by torchvision, for where mmcv's own are not compiled: nms, soft-nms and RoIAlign.

Names and arguments are those of ``mmcv._ext``, see :mod:`mixssl.utils.mmcv_ext`; the kernels are torchvision's, for CPU
and CUDA. In float32 on a CPU nms and RoIAlign give mmcv's results to the bit. What comes in float16 or bfloat16, under
autocast or not, is computed in float32 and the result rounded; mmcv computes in float16 and refuses bfloat16. Under
``torch.use_deterministic_algorithms`` torch refuses the backward pass of RoIAlign on a GPU, whose order of summation
varies; mmcv's varies too and says nothing.
"""

from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import Tensor
from torchvision.ops import box_iou

from mixssl.utils.errors import ConfigError

__all__ = [
    "get_compiler_version",
    "get_compiling_cuda_version",
    "nms",
    "roi_align_backward",
    "roi_align_forward",
    "softnms",
]

WAY_OUT = (
    "where there is a C++ compiler, and nvcc for GPUs, compile mmcv: "
    "MMCV_WITH_OPS=1 pip install --no-build-isolation --no-deps --force-reinstall --no-cache-dir onedl-mmcv==2.3.6"
)
AVERAGE = 1
"""mmcv's number for RoIAlign that averages the samples of a bin; 0 takes their maximum."""
GAUSSIAN = 2
"""mmcv's number for soft-nms with weights exp(-IoU² / sigma); 1 is linear, 0 is plain nms."""


def get_compiler_version() -> str:
    """What a report of the environment says of mmcv's compiler."""
    return f"none, torchvision {torchvision.__version__} stands in"


def get_compiling_cuda_version() -> str:
    """The CUDA version of the kernels, torchvision's being torch's; "not available" in a build for CPUs alone."""
    return torch.version.cuda or "not available"


def missing(name: str) -> Callable[..., Any]:
    """Any other operator: there by name, so that all of mmcv and mmdet can be imported, and refused when called."""
    if name.startswith("__"):
        raise AttributeError(name)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise ConfigError(
            f"mmcv's operator {name} is not compiled here, and torchvision stands in for nms, soft_nms and roi_align "
            f"alone: {WAY_OUT}"
        )

    return refuse


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Keeps a box unless one of higher score that is kept overlaps it by more than a threshold.

    The order of equal scores is mmcv's, which torch's sort gives; torchvision's own sort is a stable one.

    Args:
        boxes: (N, 4), corners x1, y1, x2, y2.
        scores: (N,).
        iou_threshold: In [0, 1].
        offset: 1 where x2 and y2 are the last pixels inside, 0 where they are coordinates.

    Returns:
        Indices of the boxes that are kept, by falling score, (M,).
    """
    # mmcv compares in float32, torchvision in double, where 0.3 is less than it is in float32.
    threshold = torch.tensor(iou_threshold, dtype=torch.float32).item()
    corners, order = _corners(boxes, offset), scores.sort(descending=True).indices
    ranks = torch.arange(len(order), 0, -1, dtype=corners.dtype, device=corners.device)
    return order[torchvision.ops.nms(corners[order], ranks, threshold)]


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Takes the best box, lowers the scores of what overlaps it, and so on until none is left (arXiv 1704.04503).

    Two things differ from mmcv's: of equal scores the first in the input is taken first, where mmcv's order depends on
    what was dropped before; and boxes without area overlap nothing, where mmcv's Gaussian weight of two is NaN.

    Args:
        boxes: (N, 4), corners x1, y1, x2, y2, on the CPU.
        scores: (N,).
        dets: (N, 5); its first M rows are filled with the boxes and their lowered scores, in the order of taking.
        iou_threshold: Overlap from which scores are lowered; of no meaning to the Gaussian method.
        sigma: Width of the Gaussian.
        min_score: A box whose score falls below is dropped; the first is taken whatever its score.
        method: 0 drops what overlaps, 1 weighs it by 1 - IoU, 2 weighs all by exp(-IoU² / sigma).
        offset: As for :func:`nms`.

    Returns:
        Indices of the boxes that were taken, (M,).
    """
    corners, scores = _corners(boxes, offset), _at_least_float32(scores).clone()
    left = torch.arange(len(boxes))
    taken: list[Tensor] = []
    while len(left):
        best = left[scores[left].argmax()]
        dets[len(taken)] = torch.cat((boxes[best], scores[best, None]))
        taken.append(best)
        left = left[left != best]
        iou = box_iou(corners[best, None], corners[left])[0].nan_to_num()
        if method == GAUSSIAN:
            scores[left] *= torch.exp(-(iou**2) / sigma)
        else:
            scores[left] *= torch.where(iou >= iou_threshold, method * (1 - iou), 1)
        left = left[scores[left] >= min_score]
    return torch.stack(taken) if taken else left


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Averages bilinear samples in each bin of each region of interest (arXiv 1703.06870).

    Args:
        input: (N, C, H, W).
        rois: (K, 5), index into the batch and corners x1, y1, x2, y2 in pixels of the image.
        output: (K, C, ``aligned_height``, ``aligned_width``), filled.
        argmax_y: Unused, where mmcv notes which sample is the largest.
        argmax_x: The same.
        aligned_height: Bins along y.
        aligned_width: Bins along x.
        spatial_scale: Pixels of the map per pixel of the image.
        sampling_ratio: Samples along each side of a bin; 0 takes about one per pixel of the map.
        pool_mode: 1, the average.
        aligned: Half a pixel is taken off the corners first, as a pixel's value is that of its centre.

    Raises:
        ConfigError: The maximum is asked for.
        ValueError: A region ends before it starts, or is not a number. Found on a CPU, for aligned ones, as in mmcv.
    """
    if pool_mode != AVERAGE:
        raise ConfigError(
            "roi_align with pool_mode='max' is not compiled here, and torchvision only averages: take pool_mode='avg', "
            f"or {WAY_OUT}"
        )
    if aligned and rois.device.type == "cpu":  # on a GPU, to look would be to wait for it
        _check_regions(rois)
    output.copy_(
        torch.ops.torchvision.roi_align(
            _at_least_float32(input),
            _at_least_float32(rois),
            spatial_scale,
            aligned_height,
            aligned_width,
            sampling_ratio,
            aligned,
        )
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fills ``grad_input``, (N, C, H, W), with the gradient for the input of :func:`roi_align_forward`."""
    grad_input.copy_(
        torch.ops.torchvision._roi_align_backward(
            _at_least_float32(grad_output),
            _at_least_float32(rois),
            spatial_scale,
            aligned_height,
            aligned_width,
            *grad_input.shape,
            sampling_ratio,
            aligned,
        )
    )


def _at_least_float32(values: Tensor) -> Tensor:
    """Float16 and bfloat16 as float32: coordinates need it, and not every kernel takes them."""
    return values.float() if values.element_size() < 4 else values


def _corners(boxes: Tensor, offset: int) -> Tensor:
    """Boxes as coordinates, (N, 4), so that a width is x2 - x1."""
    boxes = _at_least_float32(boxes)
    return torch.cat((boxes[:, :2], boxes[:, 2:] + offset), dim=1) if offset else boxes


def _check_regions(rois: Tensor) -> None:
    """Raises for what torchvision would fail on without saying why."""
    whole = (rois[:, 3:] >= rois[:, 1:3]).all(dim=1)
    if not whole.all():
        row = int(whole.int().argmin())
        raise ValueError(
            f"roi_align got a region that ends before it starts, or is not a number: row {row} of rois, "
            f"{rois[row].tolist()}"
        )
