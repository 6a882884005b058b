"""What the documents say can be done."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.classifiers import labelled, plain
from support.clusters import clusters
from support.grid import BACKBONE, CONFIGS, READS, REGIONAL, three_steps
from support.methods_more import projector, run_length
from support.tiny import WIDTH, build, preprocessor, total, views
from support.tools import call_tool, load_tool
from torch.nn import functional as F

from mixssl.registry import MIXERS, MODELS

ROOT = Path(__file__).parents[1]
MIXTURE_PAGES = sorted((ROOT / "docs/en/mixtures").glob("*.md"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

WORKED_EXAMPLES = re.compile("halves|alignment")
"""Files that a reader is told to write."""


def _code(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.S)


def test_files_that_a_page_names_exist(subtests: pytest.Subtests) -> None:
    for page in PAGES:
        with subtests.test(page.relative_to(ROOT).as_posix()):
            _check_names(page)


def _check_names(page: Path) -> None:
    text = page.read_text()
    named = set(
        re.findall(r"\b(?:configs|tools|docs|mixssl)/[\w/.-]+\.(?:py|sh|md|png|yml|csv)\b", text)
    )
    missing = sorted(
        name for name in named if not (ROOT / name).exists() and not WORKED_EXAMPLES.search(name)
    )
    assert not missing
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", text)
    assert not [link for link in links if not (page.parent / link).exists()]


def test_the_mixer_of_add_a_mixture_works() -> None:
    page = (ROOT / "docs/en/add_a_mixture.md").read_text()
    found = re.search(r"```python\n(.*?)```", page, re.S)
    assert found
    names: dict = {}
    try:
        exec(found[1], names)
        x = torch.rand(4, 3, 8, 8)
        (mixed,) = names["Halves"]()([x, x], torch.Generator().manual_seed(0))
    finally:
        MIXERS._module_dict.pop("Halves", None)
    expected = mixed.mask * x + (1 - mixed.mask) * x.flip(0)
    assert torch.allclose(mixed.images, expected)
    assert torch.allclose(mixed.mask.mean((1, 2, 3)), mixed.lam)
    assert 0 < mixed.lam[0] < 1


def test_the_method_of_add_a_method_works() -> None:
    code, config = _code(ROOT / "docs/en/add_a_method.md")
    names: dict = {}
    diff: dict = {}
    try:
        exec(code, names)
        exec(config, diff)
        neck = projector(WIDTH * 8, with_last_bn=False)
        cfg = diff["model"] | {"backbone": BACKBONE, "neck": neck}

        def with_mixer(mixer: dict | None, head: dict | None) -> dict:
            return cfg | {"data_preprocessor": preprocessor(mixer), "mix_head": head}

        mixer, head = diff["data_preprocessor"]["mixer"], cfg["mix_head"]
        trained = three_steps(with_mixer(mixer, head))
        assert trained.losses[0].keys() == {"loss_clean", "loss_mix"} and not trained.idle

        model, x = build(with_mixer(None, None)), views(size=8)
        z = [F.normalize(model.neck(model.backbone(view))[0], dim=1) for view in x]
        assert torch.allclose(total(model.loss(x)), names["align_uniform"](*z))

        for name, reason in (("MixCo", "candidates"), ("MixUp, a λ per image", "a λ per image")):
            recipe = next(r for r in load_tool("grid", "docs").RECIPES if r.name == name)
            with pytest.raises(ValueError, match=reason):
                build(with_mixer(recipe.mixer, recipe.head))
    finally:
        MODELS.module_dict.pop("MixAlignUniform", None)
    one = torch.eye(2)  # a squared distance of 2 within each, and of 4 between one and its opposite
    assert torch.allclose(names["align_uniform"](one, -one), torch.tensor(4.0 - 4.0), atol=1e-6)
    assert torch.allclose(names["align_uniform"](one, one), torch.tensor(-4.0))


@pytest.mark.parametrize("page", MIXTURE_PAGES, ids=lambda page: page.stem)
def test_the_page_of_a_mixture_has_its_picture_and_its_parts(page: Path) -> None:
    text = page.read_text()
    for part in ("The idea", "The equation", "The config", "The cost", "What differs"):
        assert f"\n## {part}" in text, part
    assert f"](../../assets/mixtures_{page.stem}.png)" in text
    assert (ROOT / f"docs/assets/mixtures_{page.stem}.png").stat().st_size < 150_000


@pytest.mark.parametrize(
    ("page", "number"),
    [(page, number) for page in MIXTURE_PAGES for number in range(len(_code(page)))],
    ids=lambda value: getattr(value, "stem", value),
)
def test_the_config_of_a_mixture_trains(page: Path, number: int) -> None:
    """With smaller sizes, which the page gives for real ones."""
    diff: dict = {}
    exec(_code(page)[number], diff)
    model = dict(diff["model"])
    name = model.pop("type").removeprefix("mixssl.")
    if name == "MixClassifier":
        classifier = build(plain(type="mixssl.MixClassifier", **model))
        total(classifier(**labelled(), mode="loss")).backward()
        return
    if "extra_sizes" in model:
        model["extra_sizes"] = (12,)
    if "region_neck" in model:
        model |= REGIONAL[name]
    if "mix_block" in model:
        model["mix_block"] = model["mix_block"] | READS
    if "clusters" in model:
        model["clusters"] = clusters()
    if "hard_negatives" in model:
        model["hard_negatives"] = model["hard_negatives"] | {
            "hardest": 16,
            "pairs": 4,
            "with_query": 2,
        }
    mixer = diff.get("data_preprocessor", {}).get("mixer")
    if mixer and "patch" in mixer:
        mixer["patch"] = 4
    if mixer and "stride" in mixer:
        mixer |= {"stride": 2, "cells": (1, 3)}
    extra = MIXERS.build(mixer).extra_views if mixer else 0
    extra += model.get("key_views", 1) - 1 + model.get("num_views", 2) - 2
    cfg = CONFIGS[name](f"mixssl.{name}", backbone=BACKBONE, **model)
    with run_length():
        three_steps(
            cfg | {"data_preprocessor": preprocessor(mixer)},
            (1.0, 1.0, 1.5, 1.5) if "extra_sizes" in model else (1.0,) * (2 + extra),
        )


COMPARE = ROOT / "docs/en/user_guides/compare.md"


def _ablations() -> list[list[str]]:
    """Commands of the guide's section on the papers' ablations, without the interpreter."""
    section = COMPARE.read_text().partition("## The papers' ablations")[2].partition("\n## ")[0]
    section = section.replace("\\\n", " ")  # a line that goes on
    lines = re.findall(r"^python tools/compare\.py (.*)$", section, re.M)
    return [shlex.split(line) for line in lines]


@pytest.mark.parametrize("command", _ablations(), ids=" ".join)
def test_an_ablation_of_the_guide_is_planned(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is of the paper that has it, on the data that it has it on, and makes the rows that it promises."""
    monkeypatch.chdir(ROOT)
    for part in ("train", "val"):
        (tmp_path / part).mkdir()
    assert call_tool("compare", *command, "--dry-run", "--data-root", tmp_path) == 0
    swept = command[command.index("--sweep") + 1].partition("=")[0] if "--sweep" in command else ""
    folder, data = (
        {Path(word).parent.name for word in command if word.endswith(".py")},
        {Path(word).stem.rpartition("_")[2] for word in command if word.endswith(".py")},
    )
    papers = {
        "": ({"mixco"}, {"tiny"}),  # depth, Figure 1
        "model.clusters.num_clusters": ({"amix"}, {"tiny"}),
        "data_preprocessor.mixer.type": ({"amix"}, {"stl10"}),
        "model.mix_head.block": ({"amix"}, {"stl10"}),
        "data_preprocessor.mixer.p_global": ({"unmix"}, {"cifar10"}),
        "model.mix_head.temperature": ({"mixco"}, {"tiny"}),
        "model.mix_head.loss_weight": ({"mixco"}, {"tiny"}),
    }
    if swept in papers:
        assert (folder, data) == papers[swept]
    else:
        assert swept == "data_preprocessor.mixer.alpha"
        assert (folder, data) in (({"unmix"}, {"cifar10"}), ({"amix"}, {"tiny"}))


def test_the_units_of_unmix_are_explained_by_what_the_released_code_does() -> None:
    """It reorders the mixture's embedding, and encodes the mixture once per direction: 14 units, and 11 are enough."""
    query, mixture, key = 3, 3, 1
    assert (2 * (query + mixture + key), 2 * query + mixture + 2 * key) == (14, 11)
    for name in ("docs/en/architecture.md", "docs/en/mixtures/unmix.md"):
        text = " ".join((ROOT / name).read_text().split())
        assert "2 × (3 + 3 + 1) = 14" in text and "once per direction" in text, name
    said = [ROOT / "README.md", ROOT / "configs/unmix/README.md", *ROOT.glob("docs/en/**/*.md")]
    said += (ROOT / "mixssl/models/heads").glob("*.py")
    for path in said:
        text = " ".join(path.read_text().split())
        assert "second forward pass" not in text and "never encoded again" not in text, path


def test_every_recipe_has_its_page() -> None:
    assert {recipe.page for recipe in load_tool("grid", "docs").RECIPES} == {
        page.stem for page in MIXTURE_PAGES
    }


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    """Links between pages, and a reference with every name that a config can say."""
    pytest.importorskip("sphinx", reason="Sphinx has left Python 3.10")
    out = tmp_path / "site"
    command = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(tmp_path / "trees"), "-c"]
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", *command, "docs", ".", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert "mixssl.UnMix" in (out / "docs/en/reference/mixers.html").read_text()


def test_the_training_loop_of_the_page_trains() -> None:
    names: dict = {}
    for code in _code(ROOT / "docs/en/own_images/own_loop.md"):
        exec(code, names)
        assert set(names["losses"]) == {"loss_clean", "loss_mix"}
        assert all(loss.isfinite() for loss in names["losses"].values())
