"""Images with boxes in VOC's XML files, the boxes put right or left out, and counted."""

import math
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree

from mmengine.dataset import BaseDataset
from mmengine.fileio import list_from_file
from mmengine.logging import print_log
from PIL import Image, UnidentifiedImageError

from mixssl.datasets.published import require_root
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import did_you_mean

CORNERS = ("xmin", "ymin", "xmax", "ymax")

REVERSED = "corners in the wrong order, put right"
CLIPPED = "beyond the image's edge, clipped"
OUTSIDE = "outside of the image, left out"
EMPTY = "too small, left out"
UNREADABLE_BOX = "no readable corners, left out"
NO_CLASS = "no class, left out"
UNKNOWN = "of an unknown class, left out"
NO_IMAGE = "images without a readable image file, left out"
NO_XML = "images without a readable annotation, left out"


def clean_box(
    corners: tuple[float, float, float, float], size: tuple[int, int], min_size: float = 1
) -> tuple[list[float] | None, list[str]]:
    """Makes a box of four numbers that somebody typed or dragged.

    Args:
        corners: xmin, ymin, xmax, ymax; pixels are counted from 1 and all four belong to the box, as in VOC.
        size: Height and width of the image.
        min_size: Least ``xmax - xmin`` and ``ymax - ymin`` of a box that is kept. At 0 a box of one pixel would pass,
            whose width counts as 0 in mmdet: its regression target is the logarithm of that.

    Returns:
        box: (left, top, right, bottom), counted from 0, within the image, as mmdet reads VOC; None where nothing is
            left.
        faults: What was wrong, in words.
    """
    faults = []
    xmin, ymin, xmax, ymax = (value - 1 for value in corners)
    if xmin > xmax or ymin > ymax:
        faults.append(REVERSED)
        xmin, xmax, ymin, ymax = min(xmin, xmax), max(xmin, xmax), min(ymin, ymax), max(ymin, ymax)
    height, width = size
    if xmax < 0 or ymax < 0 or xmin > width - 1 or ymin > height - 1:
        return None, [*faults, OUTSIDE]
    box = [max(xmin, 0.0), max(ymin, 0.0), min(xmax, width - 1.0), min(ymax, height - 1.0)]
    if box != [xmin, ymin, xmax, ymax]:
        faults.append(CLIPPED)
    if box[2] - box[0] < min_size or box[3] - box[1] < min_size:
        return None, [*faults, EMPTY]
    return box, faults


@DATASETS.register_module()
class XMLBoxes(BaseDataset):
    """Images with boxes in VOC's form, from whoever drew them: nothing in an annotation makes training crash.

    mmdet's ``XMLDataset`` takes every box as it is. One without area then makes the loss NaN, one without numbers or a
    class raises, and one of an unknown class is dropped in silence. Here boxes with corners in the wrong order are put
    right, boxes beyond the edge are clipped, and what can't be used is left out; :attr:`faults` counts all of it, and
    the log says it in one line. The size of an image is read from the image. Class names are compared without regard
    to case and to spaces around them.

    The folder holds ``JPEGImages/``, ``Annotations/`` and lists of names without suffix, as VOC's years do. A sample
    has ``img_path``, ``img_id``, ``height``, ``width`` and ``instances`` with ``bbox`` (left, top, right, bottom;
    pixels counted from 0, all four within the box, as mmdet's VOC data sets have them), ``bbox_label`` and
    ``ignore_flag`` (1 if difficult). mmdet itself is not imported here.

    Args:
        ann_file: List of names, below ``data_root``.
        data_root: The folder.
        aliases: Other spellings of classes, for instance ``{'platelet': 'Platelets'}``.
        min_size: Least width and height of a box that is kept, in pixels.
        img_suffix: Of the image files.
        metainfo: Has the ``classes``.
        **kwargs: Other arguments of mmengine's ``BaseDataset``: ``pipeline``, ``indices``, ``test_mode``, and
            ``filter_cfg=dict(filter_empty_gt=True)``, which leaves images without boxes out of training.

    Raises:
        ConfigError: A ValueError. No root, no classes, an alias of no class, no such list, a list of which no image
            can be used, or classes that none of the boxes has.
    """

    def __init__(
        self,
        ann_file: str = "",
        data_root: str = "",
        aliases: Mapping[str, str] | None = None,
        min_size: float = 1,
        img_suffix: str = ".jpg",
        metainfo: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        require_root(self, data_root)
        self.faults: Counter[str] = Counter()
        self._unknown: Counter[str] = Counter()
        self.min_size, self.img_suffix = min_size, img_suffix
        classes = (metainfo or self.METAINFO).get("classes")
        if not classes:
            raise ConfigError("XMLBoxes: no classes given; set metainfo=dict(classes=(...)).")
        if isinstance(classes, str):
            raise ConfigError(
                f"XMLBoxes: classes is the word {classes!r} and must be a list of names: write ({classes!r},)"
            )
        self._labels = {_plain(name): label for label, name in enumerate(classes)}
        for alias, name in (aliases or {}).items():
            if _plain(name) not in self._labels:
                raise ConfigError(
                    f"XMLBoxes: {alias!r} is an alias of {name!r}, which is none of the classes {tuple(classes)}."
                )
            self._labels[_plain(alias)] = self._labels[_plain(name)]
        super().__init__(ann_file=ann_file, data_root=data_root, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read all annotations, and say what was wrong with them."""
        if not os.path.isfile(self.ann_file):
            raise ConfigError(
                f"XMLBoxes: {self.ann_file!r} is missing; expected JPEGImages/, Annotations/ and a list of names, as "
                "in VOC. Set data_root to the folder that holds them, and ann_file to the list."
            )
        self.faults.clear()
        self._unknown.clear()
        names = [line.strip() for line in list_from_file(self.ann_file) if line.strip()]
        found = [sample for sample in map(self._sample, names) if sample is not None]
        if not found:
            raise ConfigError(
                f"XMLBoxes: none of the {len(names)} names in {self.ann_file!r} has both an image and an annotation "
                f"in {self.data_root!r}; expected JPEGImages/NAME{self.img_suffix} and Annotations/NAME.xml."
            )
        self._check_classes(found)
        self.faults.update({f"{UNKNOWN}: {name!r}": n for name, n in self._unknown.items()})
        boxes = sum(len(sample["instances"]) for sample in found)
        wrong = "; ".join(f"{count} {fault}" for fault, count in sorted(self.faults.items()))
        print_log(
            f"XMLBoxes: {boxes} boxes in {len(found)} images of {self.ann_file}; faults: {wrong or 'none'}.",
            logger="current",
        )
        return found

    def _check_classes(self, samples: list[dict[str, Any]]) -> None:
        """Raises where no box is of any class, or where a class without boxes is nearly a name that is none."""
        seen = {instance["bbox_label"] for sample in samples for instance in sample["instances"]}
        named = ", ".join(f"{n} of {name!r}" for name, n in sorted(self._unknown.items()))
        if named and not seen:
            raise ConfigError(
                f"XMLBoxes: no box of {self.ann_file!r} is of the classes {tuple(self._labels)}; there are {named}: "
                "set metainfo=dict(classes=(...)) to names that are there"
            )
        for name in (name for name, label in self._labels.items() if label not in seen):
            near = did_you_mean(name, self._unknown)
            if near:
                raise ConfigError(
                    f"XMLBoxes: no box of {self.ann_file!r} is of the class {name!r}, and {named} are of none{near}"
                )

    def _sample(self, name: str) -> dict[str, Any] | None:
        """One image with its boxes, or None where a file is missing or damaged."""
        path = os.path.join(self.data_root, "JPEGImages", name + self.img_suffix)
        try:
            with Image.open(path) as image:
                width, height = image.size
        except (OSError, UnidentifiedImageError):
            self.faults[NO_IMAGE] += 1
            return None
        try:
            xml = os.path.join(self.data_root, "Annotations", f"{name}.xml")
            objects = ElementTree.parse(xml).getroot().findall("object")
        except (OSError, ElementTree.ParseError):
            self.faults[NO_XML] += 1
            return None
        instances = (self._instance(thing, (height, width)) for thing in objects)
        return {
            "img_path": path,
            "img_id": name,
            "height": height,
            "width": width,
            "instances": [instance for instance in instances if instance is not None],
        }

    def _instance(self, thing: ElementTree.Element, size: tuple[int, int]) -> dict[str, Any] | None:
        """One object of a known class with a box that can be used, or None."""
        name = _plain(thing.findtext("name") or "")
        if not name:
            self.faults[NO_CLASS] += 1
            return None
        if name not in self._labels:
            self._unknown[name] += 1
            return None
        try:
            xmin, ymin, xmax, ymax = (
                float(thing.findtext(f"bndbox/{corner}") or "") for corner in CORNERS
            )
        except ValueError:
            xmin = ymin = xmax = ymax = math.nan
        if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
            self.faults[UNREADABLE_BOX] += 1
            return None
        box, faults = clean_box((xmin, ymin, xmax, ymax), size, self.min_size)
        self.faults.update(faults)
        if box is None:
            return None
        difficult = (thing.findtext("difficult") or "").strip() == "1"
        return {"bbox": box, "bbox_label": self._labels[name], "ignore_flag": int(difficult)}

    def filter_data(self) -> list[dict[str, Any]]:
        """Leave images without boxes out of training where ``filter_cfg`` asks for it."""
        if self.test_mode or not (self.filter_cfg or {}).get("filter_empty_gt"):
            return list(self.data_list)
        return [sample for sample in self.data_list if sample["instances"]]

    def get_cat_ids(self, idx: int) -> list[int]:
        """Labels of an image's boxes, for mmdet's data sets that balance classes."""
        return [instance["bbox_label"] for instance in self.get_data_info(idx)["instances"]]


def _plain(name: str) -> str:
    """A class name without what differs by accident."""
    return name.strip().casefold()
