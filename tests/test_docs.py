"""What the documents say can be done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_a_page_names_exist(page: Path) -> None:
    text = page.read_text()
    named = set(re.findall(r"\b(?:configs|tools|docs|mixssl)/[\w/.-]+\.(?:py|sh|md|png|yml|csv)\b", text))
    missing = sorted(name for name in named if not (ROOT / name).exists() and "halves" not in name)
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
        from mixssl.registry import MIXERS

        MIXERS._module_dict.pop("Halves", None)
    expected = mixed.mask * x + (1 - mixed.mask) * x.flip(0)
    assert torch.allclose(mixed.images, expected)
    assert torch.allclose(mixed.mask.mean((1, 2, 3)), mixed.lam)
    assert 0 < mixed.lam[0] < 1
