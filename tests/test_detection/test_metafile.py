"""The page of the detectors repeats the published figures and links every config."""

from __future__ import annotations

import re

import yaml
from support.tools import ROOT, load_tool

FOLDER = ROOT / "configs/benchmarks/detection"
ORDER = {"Table 5 (a)": (0, 1, 2), "Table 5 (b)": (0, 1, 2), "Table 6": (1, 0, 2)}
"""Of the page's columns, in those of a table."""


def test_the_page_repeats_the_published_figures() -> None:
    page = (FOLDER / "README.md").read_text()
    shown = {
        tuple(map(float, cells))
        for cells in re.findall(r"\| (\d+\.\d) \| (\d+\.\d) \| (\d+\.\d) \|$", page, re.M)
    }
    papers, published = load_tool("papers", "docs"), []
    for folder in papers.PAPERS:
        for table in papers.paper(folder)["tables"]:
            if "transfer to detection" in table["title"]:
                cells = (line["published"] for line in table["rows"])
                published += [tuple(row[i] for i in ORDER[table["name"]]) for row in cells]
    assert len(published) == 19 and set(published) == shown


def test_the_page_links_every_config() -> None:
    page = (FOLDER / "README.md").read_text()
    models = yaml.safe_load((FOLDER / "metafile.yml").read_text())["Models"]
    assert not [model["Name"] for model in models if f"]({model['Name']}.py)" not in page]
