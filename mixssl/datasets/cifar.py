"""CIFAR-10 and CIFAR-100 as published or as folders of images, both in the channel order that transforms expect."""

from typing import Any

import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import exists, isdir, join_path, list_dir_or_file
from mmpretrain import datasets as upstream

from mixssl.datasets.published import by_turns, require_root
from mixssl.registry import DATASETS
from mixssl.utils.errors import ConfigError

FORMS = ("binary", "folder")


@DATASETS.register_module()
class CIFAR10(upstream.CIFAR10):
    """CIFAR-10: 50,000 training and 10,000 test images of 32x32 pixels in 10 classes.

    Two forms are read, and both hand the pipeline the same BGR uint8 image (H, W, C):

    - binary: ``<data_root>/cifar-10-batches-py/``, as published. The images are held in memory.
    - folder: ``<data_root>/train/<class>/*.jpg`` and ``<data_root>/test/<class>/*.jpg`` (or PNG, BMP, PPM). The
      images are read when asked for; a part of the classes or images is fine.

    mmpretrain's own data set hands out RGB, although its ``ColorJitter`` and ``RandomGrayscale`` take BGR: hue and gray
    weights are then wrong. Give the data preprocessor ``to_rgb=True``.

    A config is the same for both forms and needs no loading step: the folder form puts a ``LoadImageFromFile`` in
    front of the pipeline unless there is one, the binary form leaves it out. Nothing is downloaded unless asked for.

    Args:
        data_root: Folder that holds either form.
        split: "train" or "test".
        form: "binary" or "folder"; None takes the binary form if it is there, else the folder form.
        download: Fetch the binary form if it is missing.
        **kwargs: Other arguments of mmpretrain's ``CIFAR10``: ``pipeline``, ``indices``, ``classes``, ...

    Raises:
        ConfigError: A ValueError. An unknown split or form, no root, a folder that is no class, or data that are
            missing, incomplete or damaged.
    """

    def __init__(
        self,
        data_root: str = "",
        split: str = "train",
        form: str | None = None,
        download: bool = False,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        if split not in ("train", "test"):
            raise ConfigError(f"{name}: split is {split!r}; choose 'train' or 'test'.")
        if form not in (None, *FORMS):
            raise ConfigError(
                f"{name}: form is {form!r}; choose 'binary', 'folder', or None to detect it."
            )
        if form == "folder" and download:
            raise ConfigError(
                f"{name}: only the binary form can be downloaded; drop form='folder' or download=True."
            )
        require_root(self, data_root or kwargs.get("data_prefix", ""))
        self.form = form
        self._verified = False
        super().__init__(data_root=data_root, split=split, download=download, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read this split, after making sure that it is there, and fit the loading step to the form."""
        root = self.data_prefix["root"]
        folder, binary = join_path(root, self.split), exists(join_path(root, self.base_folder))
        self.form = self.form or ("folder" if isdir(folder) and not binary else "binary")
        loading = [t for t in self.pipeline.transforms if isinstance(t, LoadImageFromFile)]
        steps = [t for t in self.pipeline.transforms if t not in loading]
        if self.form == "folder":
            self.pipeline.transforms = [*(loading or [LoadImageFromFile()]), *steps]
            return self._load_folders(folder)
        self.pipeline.transforms = steps
        if not self.download and not self._check_integrity():
            what = "incomplete or damaged files" if binary else "no data of the binary form"
            raise ConfigError(self._missing(what))
        return [
            {
                "img": np.ascontiguousarray(info["img"][..., ::-1]),
                "gt_label": info["gt_label"],
                "img_shape": info["img"].shape[:2],
                "ori_shape": info["img"].shape[:2],
            }
            for info in super().load_data_list()
        ]

    def _missing(self, what: str) -> str:
        root, name = self.data_prefix["root"], type(self).__name__
        files = ",".join(entry[0] for entry in (*self.train_list, *self.test_list))
        return (
            f"{name}: {what} in {root!r}; expected {self.base_folder}/{{{files}}} as published (binary form) or "
            f"{self.split}/<class>/<image> (folder form). Set data_root to the folder that holds one of them, "
            f"or download=True to fetch the binary form."
        )

    def _check_integrity(self) -> bool:
        """Compare the files with their published checksums, once: mmpretrain asks several times."""
        self._verified = self._verified or super()._check_integrity()
        return self._verified

    def _load_folders(self, root: str) -> list[dict[str, Any]]:
        """Paths and labels, the classes by turns; the pixels are read when asked for."""
        if not isdir(root):
            raise ConfigError(self._missing("no such image folder"))
        folders = sorted(list_dir_or_file(root, list_file=False))
        unknown = [folder for folder in folders if folder not in self.class_to_idx]
        if unknown:
            raise ConfigError(
                f"{type(self).__name__}: {root!r} holds the folder {unknown[0]!r}, which is no class; rename it to one "
                f"of {', '.join(self.CLASSES[:3])}, ... or pass classes=."
            )
        samples = by_turns({self.class_to_idx[name]: join_path(root, name) for name in folders})
        if not samples:
            raise ConfigError(self._missing(f"no image in the class folders of {self.split!r}"))
        return samples


@DATASETS.register_module()
class CIFAR100(CIFAR10, upstream.CIFAR100):
    """CIFAR-100: 50,000 training and 10,000 test images of 32x32 pixels in 100 fine classes.

    As ``CIFAR10``, with ``<data_root>/cifar-100-python/`` as the binary form.
    """
