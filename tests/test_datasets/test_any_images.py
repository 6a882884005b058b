"""Images from anywhere: every way to keep them gives the same pixels, and every kind of file is read or named."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.images import blobs, noise, png, write_every_kind, write_folder, write_shard

from mixssl.datasets import AnyImages, InMemory
from mixssl.datasets.look import look_at
from mixssl.datasets.sources import Names, decode, open_source
from mixssl.utils.errors import ConfigError

COUNT = 6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "images", COUNT, size=8, classes=2)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.png"))


def _check(path: Path | str, labels: list[int] | None) -> None:
    """The images of a source are those that :func:`write_folder` has written, class by class."""
    data = AnyImages(pickle.loads(pickle.dumps(open_source(path))))
    assert len(data) == COUNT
    for i, number in enumerate([0, 2, 4, 1, 3, 5]):
        info = data.get_data_info(i)
        assert np.array_equal(info["img"], blobs(number, 8)[..., ::-1])
        assert info["sample_idx"] == i and info["img_shape"] == (8, 8)
        assert info.get("gt_label") == (None if labels is None else labels[i])


LABELS = [0, 0, 0, 1, 1, 1]


def test_a_folder_of_classes(folder: Path) -> None:
    _check(folder, LABELS)
    source = open_source(folder)
    assert source.classes == ["class_0", "class_1"] and source.names[0] == "class_0/00000.png"


@pytest.mark.parametrize("kind", ["txt", "csv", "tsv", "jsonl"])
def test_a_list_of_files(folder: Path, kind: str) -> None:
    names = [path.relative_to(folder.parent).as_posix() for path in _files(folder)]
    labels = None if kind == "txt" else LABELS
    lines = {
        "txt": names,
        "csv": ["label,path", *(f"{10 * y},{name}" for y, name in zip(LABELS, names, strict=True))],
        "tsv": ["path\tlabel", *(f"{name}\t{y}" for y, name in zip(LABELS, names, strict=True))],
        "jsonl": [
            json.dumps({"file_name": name, "label": f"c{y}"})
            for y, name in zip(LABELS, names, strict=True)
        ],
    }
    path = folder.parent / f"list.{kind}"
    path.write_text("\n".join(lines[kind]) + "\n")
    _check(path, labels)


def test_tar_shards(folder: Path) -> None:
    files = _files(folder)
    for shard in range(2):
        part = files[3 * shard : 3 * shard + 3]
        images = {f"{path.stem}.png": path.read_bytes() for path in part}
        labels = dict.fromkeys(images, shard)
        write_shard(folder.parent / f"part-{shard:03d}.tar", images, labels)
    for path in (folder.parent / "part-{000..001}.tar", folder.parent):
        _check(path, LABELS)
    with pytest.raises(ConfigError, match="means 3 shards, and 1 are missing"):
        open_source(folder.parent / "part-{000..002}.tar")


def test_parquet_and_a_saved_hugging_face_data_set(folder: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    cells = [{"bytes": path.read_bytes(), "path": path.name} for path in _files(folder)]
    table = pa.table({"image": cells, "label": LABELS})
    pq.write_table(table, folder.parent / "images.parquet", row_group_size=2)
    _check(folder.parent / "images.parquet", LABELS)
    saved = folder.parent / "saved"
    saved.mkdir()
    (saved / "dataset_info.json").write_text(
        json.dumps({"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}})
    )
    with pa.ipc.new_stream(str(saved / "data-00000-of-00001.arrow"), table.schema) as writer:
        writer.write_table(table)
    _check(saved, LABELS)
    assert open_source(saved).classes == ["cat", "dog"]
    paths = [str(path) for path in _files(folder)]
    pq.write_table(pa.table({"path": paths, "label": LABELS}), folder.parent / "paths.parquet")
    _check(folder.parent / "paths.parquet", LABELS)


def test_lmdb(folder: Path) -> None:
    lmdb = pytest.importorskip("lmdb")
    with lmdb.open(str(folder.parent / "db")) as database, database.begin(write=True) as view:
        for i, path in enumerate(_files(folder)):
            view.put(f"{i:03d}".encode(), path.read_bytes())
        view.put(b"__len__", b"6")
    _check(folder.parent / "db", None)


def test_every_kind_of_file_is_read_or_named(tmp_path: Path) -> None:
    bad = write_every_kind(tmp_path)
    look = look_at(open_source(tmp_path), workers=2)
    assert dict(look.unreadable).keys() == bad.keys()
    for name, reason in look.unreadable:
        assert bad[name] in reason
    assert look.images == 21 and look.suggested_channels == 3 and look.value_range is None
    assert look.kinds == {
        "alpha left out": 2,
        "black and white": 1,
        "CMYK as RGB": 1,
        "palette": 2,
    }
    assert look.shorter == (20, 32, 40) and look.one_size is None
    table = tmp_path / "out.csv"
    table.write_text("name,reason\n" + "".join(f"{name},x\n" for name in bad))
    data = AnyImages(tmp_path, leave_out=str(table))
    images = [data[i]["img"] for i in range(len(data))]
    assert len(images) == 21
    assert all(image.shape[2] == 3 and image.dtype == np.uint8 for image in images)
    every = AnyImages(tmp_path)
    with pytest.raises(ConfigError, match="empty.png can't be read as an image: the file is empty"):
        [every[i] for i in range(len(every))]


def test_mean_and_spread_are_those_of_the_pixels(tmp_path: Path) -> None:
    write_folder(tmp_path, 5, size=8)
    look = look_at(open_source(tmp_path), workers=1)
    pixels = np.stack([blobs(i, 8) for i in range(5)]).reshape(-1, 3).astype(np.float64)
    assert np.allclose(look.mean, pixels.mean(0), atol=1e-3)
    assert np.allclose(look.std, pixels.std(0), atol=1e-3)
    assert look.one_size == (8, 8)


@pytest.mark.parametrize("ending", ["tif", "npy"])
def test_sixteen_bits_and_five_channels(tmp_path: Path, ending: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    stored = [noise(i, 24, 20, 5, high=4096) for i in range(4)]
    for i, pixels in enumerate(stored):
        path = tmp_path / f"{i}.{ending}"
        if ending == "npy":
            np.save(path, pixels)
        else:
            bands = pixels.transpose(2, 0, 1) if i in (1, 3) else pixels  # both orders are about
            config = [None, "separate", "contig", None][i]
            tifffile.imwrite(path, bands, photometric="minisblack", planarconfig=config)
    look = look_at(open_source(tmp_path), workers=1)
    assert look.suggested_channels == 5 and not look.unreadable and look.value_range is not None
    low, high = look.value_range
    assert 0 <= low < 50 and 4000 < high < 4096
    data = AnyImages(tmp_path, channels=5, value_range=look.value_range)
    for i, pixels in enumerate(stored):
        image = data.get_data_info(i)["img"]
        assert image.dtype == np.float32
        assert np.allclose(image, (pixels - low) * 255 / (high - low), atol=1e-3)
    assert np.allclose(look.std, 255 / 12**0.5, rtol=0.03)


def test_a_sixteen_bit_png_keeps_its_colours(tmp_path: Path) -> None:
    import cv2

    pixels = noise(0, 6, 6, 3, high=65536)
    cv2.imwrite(str(tmp_path / "deep.png"), pixels[..., ::-1])
    assert np.array_equal(decode((tmp_path / "deep.png").read_bytes()).pixels, pixels)


def test_large_jpegs_are_decoded_at_a_part_of_their_size(tmp_path: Path) -> None:
    Image.fromarray(blobs(0, 800)).save(tmp_path / "large.jpg")
    content = (tmp_path / "large.jpg").read_bytes()
    assert decode(content).pixels.shape == (800, 800, 3)
    assert decode(content, at_least=90).pixels.shape == (100, 100, 3)


def test_what_is_held_back_is_not_trained_on(folder: Path) -> None:
    parts = {part: AnyImages(folder, part=part, held_back=2) for part in ("train", "held_back")}
    names = {
        part: {data.get_data_info(i)["img_path"] for i in range(len(data))}
        for part, data in parts.items()
    }
    assert len(names["held_back"]) == 2 and len(names["train"]) == COUNT - 2
    assert not names["held_back"] & names["train"]


def test_it_can_lie_in_memory(folder: Path) -> None:
    held = InMemory(AnyImages(folder))
    assert held.images.shape == (COUNT, 8, 8, 3)
    assert np.array_equal(held.get_data_info(1)["img"], blobs(2, 8)[..., ::-1])


def test_names_are_kept_as_they_are() -> None:
    names = ["a/b.png", "ä ö.jpg", "", "\udcff.png"]
    kept = Names(names)
    assert list(kept) == names and len(kept) == 4
    with pytest.raises(IndexError):
        kept[4]


def test_wrong_places_are_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is nothing at"):
        open_source(tmp_path / "nosuch")
    with pytest.raises(ConfigError, match="there is no image in"):
        open_source(tmp_path)
    (tmp_path / "list.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="has the columns a, b, and none of them is one of path"):
        open_source(tmp_path / "list.csv")
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(ConfigError, match=r"is neither a folder nor one of \.txt"):
        open_source(tmp_path / "x.zip")
    (tmp_path / "bad.png").write_bytes(png(noise(0, 4, 4))[:30])
    with pytest.raises(ConfigError, match=r"none of 1 images can be used; bad\.png"):
        look_at(open_source(tmp_path), workers=1)
