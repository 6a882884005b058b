"""Every fenced block of the documents that a reader can run is run, in a checkout where it takes seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.utils import register_all_modules
from support import tiny
from support.first_config import write_images
from support.small_checkout import CIFAR_STEM, SmallCheckout
from support.tools import ROOT

PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs/en").rglob("*.md") if page.parent.name != "reference"),
]
ELSEWHERE = {
    "make setup  ": ".ci/run",
    "make det": ".ci/run",
    "make test": ".ci/run",
    "make demo": "tests/test_tools/test_demo.py",
    "pip install -e .": "tests/test_installed.py",
    "pip install --no-deps .": "tests/test_installed.py",
    "mim train": "tests/test_installed.py",
    "mim search": "tests/test_installed.py",
    "tools/study.py": "tests/test_cli/test_study/test_work.py",
    "NNODES=2": "tests/test_tools/test_several_machines.py",
    "GPUS=16": "tests/test_tools/test_several_machines.py",
}
"""What runs the commands that hold these words, if not this file."""
NOWHERE = {
    "pip install torch==": "downloads gigabytes, and puts another torch where the tests have theirs",
    "pip install matplotlib": "downloads what make setup has brought",
    "pip install 'mixssl[images]'": "downloads what make setup has brought; tests/test_packaging.py has the extras",
    "pip install ninja": "downloads what only a compiler needs",
    "MMCV_WITH_OPS=1": "compiles for 12 minutes what the suite does without",
}
"""Why no test runs the commands that hold these words. What is for eight GPUs runs as two processes on the CPU."""
PYTHON = {
    "KNNMonitorHook": "tests/test_tools/test_first_config.py",
    "MixtureGrid": "tests/test_tools/test_first_config.py",
    "['mmpretrain::mocov2": "tests/test_tools/test_first_config.py",
    "BACKBONE": "tests/test_transfer/test_use_a_backbone.py",
    "read_base": "tests/test_installed.py",
    "PretrainedBackbone', checkpoint='backbone.pth'": "tests/test_transfer/test_check.py",
    "_base_ = ['mixssl::": "tests/test_documents.py",
    "ClassBalancedSubset": "tests/test_documents.py",
    "PROTOCOLS": "tests/test_documents.py",
    "InMemory": "tests/test_documents.py",
    "mixssl.pretrain(": "tests/test_cli/test_pretrain.py",
}
"""What runs the blocks of Python that hold these words."""
IN_TEST_DOCS = re.compile("mixtures/|add_a_|own_loop")
"""Pages of which tests/test_docs.py runs the blocks of Python."""


class Block(NamedTuple):
    """A fenced block: its page, its place among the page's blocks, its language, its lines."""

    page: Path
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.stem}-{self.number}-{self.text.split()[-1][:20]}"


def _blocks() -> list[Block]:
    return [
        Block(page, number, language, text)
        for page in PAGES
        for number, (language, text) in enumerate(
            re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.S | re.M)
        )
    ]


def _commands(text: str) -> list[str]:
    """The lines of a block of shell, those that end in a backslash with what follows them."""
    return re.split(r"(?<!\\)\n", text.strip())


def _holding(text: str, table: Iterable[str]) -> list[str]:
    return [words for words in table if words in text]


def _run_here(block: Block) -> list[str]:
    """The commands of a block that nothing else runs."""
    return [line for line in _commands(block.text) if not _holding(line, ELSEWHERE | NOWHERE)]


BLOCKS = _blocks()
BASH = [block for block in BLOCKS if block.language == "bash"]
SHELL = [b for b in BASH if any(not line.startswith("#") for line in _run_here(b))]


def test_every_command_is_run_by_a_test_that_is_there_or_has_a_reason() -> None:
    assert {block.language for block in BLOCKS} == {"bash", "python", "text", ""}
    assert len(SHELL) > 30
    lines = [line for block in BASH for line in _commands(block.text)]
    assert all(len(_holding(line, ELSEWHERE | NOWHERE)) <= 1 for line in lines)
    for words in ELSEWHERE | NOWHERE:
        assert any(words in line for line in lines), words
    for words in PYTHON:
        assert _python(words), words
    for where in (ELSEWHERE | PYTHON).values():
        assert (ROOT / where).is_file(), where
    for block in BLOCKS:
        if block.language == "python" and not IN_TEST_DOCS.search(block.page.as_posix()):
            assert _holding(block.text, PYTHON), block


def _python(words: str) -> list[str]:
    """The blocks of Python that hold these words."""
    return [block.text for block in BLOCKS if block.language == "python" and words in block.text]


def test_configs_inherit_ours(tmp_path: Path) -> None:
    for text in _python("_base_ = ['mixssl::"):
        (tmp_path / "mine.py").write_text(text)
        cfg = Config.fromfile(tmp_path / "mine.py")
        assert cfg.model.type == "mixssl.MixMoCo" and cfg.model.mix_head.type == "mixssl.UnMixHead"
        assert ("batch_size" in text) == (cfg.train_dataloader.batch_size == 64)


def _built_data(tmp_path: Path, base: str, text: str) -> Any:
    """The training images of a config that inherits another and has a page's block."""
    (tmp_path / "mine.py").write_text(f"_base_ = ['mixssl::{base}']\n{text}")
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        return DATASETS.build(Config.fromfile(tmp_path / "mine.py").train_dataloader.dataset)


def test_a_share_of_every_class(tmp_path: Path) -> None:
    (text,) = _python("ClassBalancedSubset")
    counts, whole = (
        np.bincount(_built_data(tmp_path, "_base_/datasets/digits.py", more).get_gt_labels())
        for more in (text, "")
    )
    assert len(counts) == 10
    assert (abs(counts - whole / 10) <= 0.5).all()


def test_images_of_a_folder_decoded_once(tmp_path: Path) -> None:
    (text,) = _python("InMemory")
    folder = write_images(tmp_path / "images", 2, 300)
    text = text.replace("data/my_images", str(folder))
    images = _built_data(tmp_path, "unmix/moco_r18_cifar10.py", text)
    assert [tuple(sample["inputs"].shape) for sample in images] == [(3, 256, 256)] * 2


def test_protocols_from_python() -> None:
    (text,) = _python("PROTOCOLS")
    register_all_modules(init_default_scope=True)
    data = Config.fromfile("configs/_base_/datasets/digits.py")
    names = {"model": tiny.build(tiny.moco())}
    for name, images in (("bank", 210), ("query", 20)):
        loader = data[f"knn_{name}"].to_dict()
        loader["dataset"]["indices"] = images
        names[name] = Runner.build_dataloader(loader, seed=0)
    exec(text, names)
    assert list(names["figures"]) == ["knn200", "knn5", "linear"]
    assert all(0 <= figure <= 100 for figure in names["figures"].values())


SMALLER = (
    (r"\.py 8\b", ".py 2"),
    (r"\bGPUS=8\b", "GPUS=2"),
    (r"\bTRIALS=\d", "TRIALS=1"),
    (r"--epochs \d+", "--epochs 1"),
    (r"custom_hooks\.\d", "default_hooks.knn"),  # as the page of results says
    (r"_dataloader.batch_size=\d+", "_dataloader.batch_size=16"),
    (r"--seeds [\d ]+\d", "--seeds 0"),
    (
        r"(--sweep [\w.]+=)([^,\s\"]+),(?:\S+,)?([^,\s]+)",
        r"\1\2,\3",
    ),  # the first and the last value
    (r"epoch_5.pth epoch_10.pth epoch_20.pth epoch_50.pth", "epoch_1.pth epoch_2.pth"),
    (r"\bSUBSET\b", "data/cifar10"),
    (r"\bCONFIG\b", CIFAR_STEM),
    (r"--depth 50\b", "--depth 50 --width 4"),
    (r"--seed S\b", "--seed 0"),
    (r"\bcheckpoint=FILE\b", "checkpoint=random"),
    (
        r"(mixssl pretrain .*)",
        r"\1 --epochs 1 --batch-size 8 --view-size 32 --stem 7x7 --held-back 4",
    ),
    (r"\bBACKBONE\b", '"$(ls *_backbone_mmdet-*.pth)"'),
)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> SmallCheckout:
    return SmallCheckout(tmp_path_factory.mktemp("checkout"))


def _not_all_of_a_study(block: Block, lines: list[str]) -> list[str]:
    """Of a block's comparisons only the first is run, and none of the page of results, on which they took days.

    The others say what they would run, which takes all of their options.
    """
    studies = [number for number, line in enumerate(lines) if "tools/compare.py" in line]
    for number in studies[block.page.stem != "results" :]:
        lines[number] += " --dry-run"
    return lines


@pytest.mark.slow
@pytest.mark.parametrize("block", SHELL, ids=str)
def test_commands(checkout: SmallCheckout, block: Block) -> None:
    commands = "\n".join(_not_all_of_a_study(block, _run_here(block)))
    for large, small in SMALLER:
        commands = re.sub(large, small, commands)
    commands = checkout.prepare(commands)
    done = checkout.run(commands)
    assert done.returncode == 0, f"{commands}\n{done.stdout[-4000:]}\n{done.stderr[-6000:]}"
