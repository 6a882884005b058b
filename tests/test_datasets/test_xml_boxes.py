"""Boxes that people drew: put right, clipped or left out, and counted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support.needs_detection import needs_detection

from mixssl.datasets import XMLBoxes
from mixssl.datasets.xml_boxes import CLIPPED, EMPTY, OUTSIDE, REVERSED, clean_box
from mixssl.registry import DATASETS

CLASSES = ("RBC", "WBC", "Platelets")
BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"
SIZE = (60, 100)


def _object(name: str | None, *corners: object, difficult: object = 0) -> str:
    kind = "" if name is None else f"<name>{name}</name>"
    box = BOX.format(*corners) if corners else ""
    return f"<object>{kind}<difficult>{difficult}</difficult>{box}</object>"


def _write(root: Path, **images: str | None) -> Path:
    """A data set of images with these objects; None is an image without annotation."""
    for folder in ("Annotations", "ImageSets", "JPEGImages"):
        (root / folder).mkdir()
    for name, objects in images.items():
        cv2.imwrite(str(root / f"JPEGImages/{name}.jpg"), np.full((*SIZE, 3), 90, np.uint8))
        if objects is not None:
            # The size that is written is wrong, as some tools leave it.
            text = (
                f"<annotation><size><width>0</width><height>0</height></size>{objects}</annotation>"
            )
            (root / f"Annotations/{name}.xml").write_text(text)
    (root / "ImageSets/all.txt").write_text("\n".join(images) + "\n\n")
    return root


def _read(root: Path, **options) -> XMLBoxes:
    return DATASETS.build(
        {
            "type": "mixssl.XMLBoxes",
            "data_root": str(root),
            "ann_file": "ImageSets/all.txt",
            "metainfo": {"classes": CLASSES},
            **options,
        }
    )


@pytest.mark.parametrize(
    ("corners", "box", "faults"),
    [
        ((11, 21, 31, 41), [10, 20, 30, 40], []),
        ((1, 1, 100, 60), [0, 0, 99, 59], []),
        ((31, 21, 11, 41), [10, 20, 30, 40], [REVERSED]),
        ((31, 41, 11, 21), [10, 20, 30, 40], [REVERSED]),
        ((0, -5, 31, 41), [0, 0, 30, 40], [CLIPPED]),
        ((91, 51, 120, 70), [90, 50, 99, 59], [CLIPPED]),
        ((120, 70, 91, 51), [90, 50, 99, 59], [REVERSED, CLIPPED]),
        ((50, 30, 50, 30), None, [EMPTY]),
        ((50, 30, 60, 30), None, [EMPTY]),
        ((100, 10, 130, 40), None, [CLIPPED, EMPTY]),
        ((101, 10, 130, 40), None, [OUTSIDE]),
        ((-20, 10, 0, 40), None, [OUTSIDE]),
        ((10, 61, 20, 90), None, [OUTSIDE]),
    ],
)
def test_a_box_is_kept_put_right_or_left_out(corners, box, faults) -> None:
    assert clean_box(corners, SIZE) == (box, faults)


def test_the_least_size_can_be_set() -> None:
    assert clean_box((10, 10, 14, 30), SIZE, min_size=4)[0] == [9, 9, 13, 29]
    assert clean_box((10, 10, 14, 30), SIZE, min_size=5) == (None, [EMPTY])


def test_nothing_in_an_annotation_crashes_and_all_of_it_is_counted(tmp_path: Path, caplog) -> None:
    good = _object("RBC", 11, 21, 31, 41)
    root = _write(
        tmp_path,
        dirty=good
        + _object(" wbc ", 41, 21, 31, 11, difficult=1)
        + _object("RBC", 504, 337, 504, 337)
        + _object("RBC", 50, 30, 50, 30)
        + _object("RBC", "nan", 1, 20, 20)
        + _object("RBC", "", 1, 20, 20)
        + _object("RBC", "inf", 1, 20, 20)
        + _object("RBC")
        + _object(None, 1, 1, 20, 20)
        + _object("platelet", 1, 1, 20, 20)
        + _object("plate", 1, 1, 20, 20)
        + _object("Platelets", 90, 50, 130, 80, difficult="no"),
        empty="",
        broken="<object>",
        missing=None,
        good=good,
    )
    (root / "JPEGImages/nothing.jpg").write_bytes(b"not an image")
    (root / "ImageSets/all.txt").open("a").write("nothing\nabsent\n")
    boxes = _read(root, aliases={"Platelet": "Platelets"})
    assert [sample["img_id"] for sample in boxes] == ["dirty", "empty", "good"]
    dirty = boxes[0]
    assert (dirty["height"], dirty["width"]) == SIZE
    assert [(i["bbox"], i["bbox_label"], i["ignore_flag"]) for i in dirty["instances"]] == [
        ([10, 20, 30, 40], 0, 0),
        ([30, 10, 40, 20], 1, 1),
        ([0, 0, 19, 19], 2, 0),
        ([89, 49, 99, 59], 2, 0),
    ]
    assert boxes.get_cat_ids(0) == [0, 1, 2, 2]
    assert boxes.faults == {
        "corners in the wrong order, put right": 1,
        "beyond the image's edge, clipped": 1,
        "outside of the image, left out": 1,
        "too small, left out": 1,
        "no readable corners, left out": 4,
        "no class, left out": 1,
        "of an unknown class, left out: 'plate'": 1,
        "images without a readable annotation, left out": 2,
        "images without a readable image file, left out": 2,
    }


def test_the_log_says_what_was_wrong(tmp_path: Path, monkeypatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("mixssl.datasets.xml_boxes.print_log", lambda line, **_: lines.append(line))
    root = _write(tmp_path, one=_object("RBC", 5, 5, 5, 5) + _object("WBC", 1, 1, 9, 9))
    _read(root)
    assert lines == [
        f"XMLBoxes: 1 boxes in 1 images of {root}/ImageSets/all.txt; faults: 1 too small, left out."
    ]


def test_images_without_boxes_can_be_left_out_of_training(tmp_path: Path) -> None:
    root = _write(tmp_path, one=_object("WBC", 1, 1, 9, 9), none=_object("RBC", 5, 5, 5, 5))
    keep = {"filter_cfg": {"filter_empty_gt": True}}
    assert [s["img_id"] for s in _read(root)] == ["one", "none"]
    assert [s["img_id"] for s in _read(root, **keep)] == ["one"]
    assert [s["img_id"] for s in _read(root, test_mode=True, **keep)] == ["one", "none"]


def test_what_cannot_work_is_said_in_a_line(tmp_path: Path) -> None:
    root = _write(tmp_path, one=None)
    for options, message in (
        ({"data_root": ""}, "no data_root given"),
        ({"metainfo": None}, "no classes given"),
        ({"aliases": {"red": "Red"}}, "'red' is an alias of 'Red'"),
        ({"ann_file": "ImageSets/val.txt"}, "val.txt' is missing"),
        ({}, "none of the 1 names"),
    ):
        with pytest.raises(ValueError, match=message):
            _read(root, **options)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            ("cat", "dog"),
            r"no box of .*all.txt' is of the classes \('cat', 'dog'\); there are 2 of 'rbc', 1 of 'wbc'",
        ),
        (
            ("RBC", "WBCs"),
            r"no box of .* is of the class 'wbcs', and 1 of 'wbc' are of none, did you mean 'wbc'",
        ),
        ("RBC", r"classes is the word 'RBC' and must be a list of names: write \('RBC',\)"),
    ],
)
def test_classes_that_no_box_has_are_refused(tmp_path: Path, classes: object, message: str) -> None:
    red = _object("RBC", 1, 1, 9, 9)
    root = _write(tmp_path, one=red + _object("WBC", 1, 1, 9, 9), two=red)
    with pytest.raises(ValueError, match=message):
        _read(root, metainfo={"classes": classes})
    assert len(_read(root, metainfo={"classes": ("RBC", "cat")})) == 2


@needs_detection
def test_it_agrees_with_mmdet_on_what_is_clean(tmp_path: Path) -> None:
    from mmdet.datasets import XMLDataset

    root = _write(
        tmp_path,
        one=_object("WBC", 1, 1, 9, 9) + _object("RBC", 20, 30, 100, 60, difficult=1),
    )
    (root / "ImageSets/all.txt").write_text("one\n")  # theirs takes an empty line for a name
    xml = root / "Annotations/one.xml"
    xml.write_text(
        xml.read_text().replace("<width>0", "<width>100").replace("<height>0", "<height>60")
    )
    theirs = XMLDataset(
        data_root=str(root),
        ann_file="ImageSets/all.txt",
        data_prefix={"sub_data_root": ""},
        metainfo={"classes": CLASSES},
        test_mode=True,
    )
    ours, theirs = _read(root)[0], theirs.get_data_info(0)
    for key in ("img_path", "img_id", "height", "width", "instances"):
        assert ours[key] == theirs[key], key


@needs_detection
def test_a_box_without_area_would_make_mmdets_targets_infinite() -> None:
    from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

    region = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    target = DeltaXYWHBBoxCoder().encode(region, torch.tensor([[5.0, 5.0, 5.0, 5.0]]))
    assert not target.isfinite().all()
    box, _ = clean_box((6, 6, 7, 7), SIZE)
    assert DeltaXYWHBBoxCoder().encode(region, torch.tensor([box])).isfinite().all()
