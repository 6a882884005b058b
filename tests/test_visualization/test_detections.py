"""The grid of what is there and what was found."""

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from mmengine.structures import BaseDataElement, InstanceData

from mixssl.datasets.digit_scenes import run_lengths
from mixssl.visualization.detections import (
    EDGES,
    TINT,
    Found,
    annotated,
    detected,
    detection_figure,
)

IMAGE = np.zeros((16, 24, 3), dtype=np.uint8)
MASK = np.zeros((1, 16, 24), dtype=bool)
MASK[0, 4:8, 10:14] = True
TRUTH = Found(np.array([[10.0, 4.0, 14.0, 8.0]]), np.array([1]), masks=MASK)
NOTHING = Found(np.zeros((0, 4)), np.zeros(0, dtype=int), np.zeros(0), np.zeros((0, 16, 24), bool))
GUESS = Found(np.array([[1, 1, 5, 9], [10, 4, 14, 8]]), np.array([0, 1]), np.array([0.52, 0.987]))


def test_each_image_is_a_row_and_each_source_a_column() -> None:
    before = IMAGE.copy()
    columns = {"truth": [TRUTH, NOTHING], "found": [GUESS, NOTHING]}
    figure = detection_figure([IMAGE, IMAGE], columns, ["cat", "dog"], title="scenes")
    assert len(figure.axes) == 4
    first, second, *below = figure.axes
    assert [axis.get_title() for axis in figure.axes] == ["truth", "found", "", ""]
    assert [text.get_text() for text in first.texts] == ["dog"]
    assert [text.get_text() for text in second.texts] == ["cat 0.52", "dog 0.99"]
    assert not any(axis.patches for axis in below)
    assert (before == IMAGE).all()


def test_a_box_encloses_its_pixels_and_a_mask_tints_them() -> None:
    figure = detection_figure([IMAGE], {"truth": [TRUTH]}, ["cat", "dog"])
    (axis,) = figure.axes
    (box,) = axis.patches
    # The pixels 10 to 13 reach from 9.5 to 13.5 on an axis whose ticks are pixel centres.
    assert box.get_bbox().extents.tolist() == [9.5, 3.5, 13.5, 7.5]
    pixels = axis.images[0].get_array()
    assert np.allclose(pixels[MASK[0]], TINT * np.array(to_rgb(EDGES[1])))
    assert not pixels[~MASK[0]].any()


def test_ten_classes_have_ten_colours() -> None:
    assert len(set(EDGES)) == 10


def test_a_column_has_an_entry_for_each_image() -> None:
    with pytest.raises(ValueError, match="shorter"):
        detection_figure([IMAGE, IMAGE], {"found": [NOTHING]}, ["cat"])


def test_annotations_and_detections_become_the_same_record() -> None:
    instance = {"bbox": [10.0, 4.0, 14.0, 8.0], "bbox_label": 1}
    with_mask = annotated([instance | {"mask": run_lengths(MASK[0])}])
    assert with_mask.boxes.tolist() == TRUTH.boxes.tolist() and with_mask.labels.tolist() == [1]
    assert (with_mask.masks == MASK).all() and with_mask.scores is None
    assert annotated([instance]).masks is None
    assert annotated([]).boxes.shape == (0, 4)

    found = InstanceData(
        bboxes=torch.tensor([[10.0, 4, 14, 8], [0, 0, 3, 3]]),
        labels=torch.tensor([1, 0]),
        scores=torch.tensor([0.9, 0.4]),
        masks=torch.from_numpy(np.concatenate([MASK, ~MASK])),
    )
    sample = BaseDataElement(pred_instances=found)
    sure = detected(sample)
    assert sure.boxes.tolist() == TRUTH.boxes.tolist() and (sure.masks == MASK).all()
    assert sure.scores.tolist() == [pytest.approx(0.9)]
    assert len(detected(sample, least=0.3).labels) == 2
    del found.masks
    assert detected(sample).masks is None
