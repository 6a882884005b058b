"""Images in memory: the same samples as from disk, in one block for all who read them."""

from __future__ import annotations

import gc
import multiprocessing
from pathlib import Path
from typing import Any

import mmcv
import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmpretrain.datasets import CustomDataset
from mmpretrain.utils import register_all_modules
from torch.utils.data import DataLoader

from mixssl.datasets import Digits, InMemory, in_memory
from mixssl.utils.errors import ConfigError

register_all_modules(init_default_scope=True)

LOAD = {"type": "LoadImageFromFile"}
PACK = {"type": "PackInputs"}
BARE = {"type": "mixssl.PackImages"}
DIGITS = {"type": "mixssl.Digits", "split": "test", "pipeline": [PACK]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six PNG files of two classes, one of them of another size in ``odd``."""
    generator = np.random.default_rng(0)
    for root, sizes in (("even", [(9, 7)] * 6), ("odd", [(9, 7)] * 5 + [(12, 20)])):
        for i, size in enumerate(sizes):
            image = generator.integers(0, 256, (*size, 3), dtype=np.uint8)
            assert mmcv.imwrite(image, str(tmp_path / root / "ab"[i % 2] / f"{i}.png"))
    return tmp_path


def _files(root: Path, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "CustomDataset", "data_root": str(root), "pipeline": [LOAD, *steps]}


def _same(a: dict, b: dict) -> bool:
    labels = a["data_samples"].gt_label.equal(b["data_samples"].gt_label)
    return labels and a["inputs"].equal(b["inputs"])


@pytest.mark.parametrize("kind", ["files", "digits"])
def test_samples_are_those_of_the_data_set(folder: Path, kind: str) -> None:
    cfg = _files(folder / "even", PACK) if kind == "files" else DIGITS
    plain: Any = Digits("test", pipeline=[PACK])
    if kind == "files":
        plain = CustomDataset(str(folder / "even"), pipeline=[LOAD, PACK])
    held = InMemory(cfg)
    assert len(held) == len(plain)
    assert held.images.dtype == torch.uint8 and held.images.shape[0] == len(plain)
    for i in range(6):
        assert _same(held[i], plain[i])
        meta = held[i]["data_samples"].metainfo, plain[i]["data_samples"].metainfo
        assert meta[0] == meta[1]
        assert held.get_data_info(i).keys() >= {"img", "gt_label", "sample_idx", "img_shape"}
        assert held.get_cat_ids(i) == plain.get_cat_ids(i)
    assert (held.get_gt_labels() == plain.get_gt_labels()).all()
    assert held.CLASSES == plain.CLASSES and held.metainfo == plain.metainfo


def test_files_are_read_once(folder: Path) -> None:
    held = InMemory(_files(folder / "even", PACK))
    before = [held[i]["inputs"] for i in range(6)]
    for path in (folder / "even").rglob("*.png"):
        path.unlink()
    assert all(held[i]["inputs"].equal(before[i]) for i in range(6))


def test_a_transform_that_writes_into_an_image_does_no_harm() -> None:
    held = InMemory(DIGITS)
    before = held.images.clone()
    held.get_data_info(3)["img"][:] = 7
    assert held.images.equal(before) and held.get_data_info(3)["img"].max() != 7


def test_random_steps_stay_random(folder: Path) -> None:
    cfg = _files(folder / "even", {"type": "RandomCrop", "crop_size": 4}, PACK)
    held = InMemory(cfg)
    assert len({held[0]["inputs"].numpy().tobytes() for _ in range(20)}) > 1


def test_a_whole_batch_is_what_its_samples_are(folder: Path) -> None:
    held = InMemory(_files(folder / "even", BARE))
    chosen = [4, 0, 4, 1]
    batch, single = held.__getitems__(chosen), [held[i] for i in chosen]
    assert [item.keys() for item in batch] == [{"inputs"}] * 4
    assert all(a["inputs"].equal(b["inputs"]) for a, b in zip(batch, single, strict=True))
    packed = InMemory(_files(folder / "even", PACK))
    for a, i in zip(packed.__getitems__(chosen), chosen, strict=True):
        assert _same(a, packed[i])


@pytest.mark.parametrize(("method", "pack"), [("fork", BARE), ("fork", PACK), ("spawn", BARE)])
def test_workers_read_what_the_main_process_holds(method: str, pack: dict) -> None:
    held = InMemory(DIGITS | {"pipeline": [pack], "indices": 40})
    expected = [item["inputs"] for item in map(held.__getitem__, range(40))]
    loader = DataLoader(
        held,
        batch_size=8,
        num_workers=2 if method == "fork" else 1,
        collate_fn=default_collate,
        multiprocessing_context=multiprocessing.get_context(method),
    )
    images = torch.cat([batch["inputs"] for batch in loader])
    assert images.equal(torch.stack(expected))
    # What is spawned gets a handle to shared memory, not 40 images.
    assert held.images.is_shared() == (method == "spawn")


def test_data_sets_of_the_same_images_share_them(folder: Path) -> None:
    one = InMemory(_files(folder / "even", PACK))
    two = InMemory(_files(folder / "even", BARE))
    other = InMemory(_files(folder / "even", PACK) | {"indices": 3})
    assert one.images.data_ptr() == two.images.data_ptr() != other.images.data_ptr()
    assert len(other) == 3 and one[0].keys() != two[0].keys()
    key = next(iter(in_memory._BLOCKS))
    del one, two, other
    gc.collect()
    assert key not in in_memory._BLOCKS


def test_images_of_different_sizes_are_refused_or_prepared(folder: Path) -> None:
    cfg = _files(folder / "odd", PACK)
    with pytest.raises(
        ConfigError, match=r"\(12, 20, 3\) of uint8 and the first \(9, 7, 3\).*prepare="
    ):
        InMemory(cfg)
    steps = [
        {"type": "ResizeEdge", "scale": 8, "edge": "short"},
        {"type": "CenterCrop", "crop_size": 8},
    ]
    held = InMemory(cfg, prepare=steps)
    assert held.images.shape == (6, 8, 8, 3)
    plain = CustomDataset(str(folder / "odd"), pipeline=[LOAD, *steps, PACK])
    assert all(_same(held[i], plain[i]) for i in range(6))


def test_what_does_not_fit_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError, match=r"384 kB \(500 images.*max_bytes is 1 kB.*without InMemory"
    ):
        InMemory(DIGITS, max_bytes=1000)
    monkeypatch.setattr(in_memory, "available_bytes", lambda: 400_000)
    with pytest.raises(ConfigError, match="400 kB of memory left it takes at most 80%"):
        InMemory(DIGITS)
    assert len(InMemory(DIGITS, max_bytes=400_000)) == 500


def test_what_is_no_data_set_of_images_is_refused(folder: Path) -> None:
    class Bare(torch.utils.data.Dataset):
        pass

    with pytest.raises(ConfigError, match="Bare has no get_data_info"):
        InMemory(Bare())
    with pytest.raises(ConfigError, match="Digits holds no image"):
        InMemory(DIGITS | {"indices": 0, "serialize_data": False})


def test_the_log_says_how_much_it_takes(capfd: pytest.CaptureFixture[str]) -> None:
    from mmengine.logging import MMLogger

    logger = MMLogger.get_instance("in_memory", logger_name="in_memory", log_level="INFO")
    assert MMLogger.get_current_instance() is logger
    held = InMemory(DIGITS)
    assert len(held) == 500
    said = "".join(capfd.readouterr())
    assert "Digits, 500 images of 16x16, decoded: 384 kB" in said
