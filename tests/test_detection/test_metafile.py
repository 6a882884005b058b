"""What the metafile of the detectors says is what their page says."""

from __future__ import annotations

import re

import yaml
from support.tools import ROOT

FOLDER = ROOT / "configs/benchmarks/detection"


def test_the_page_repeats_the_published_figures_and_links_every_config() -> None:
    page = (FOLDER / "README.md").read_text()
    rows = {
        tuple(float(cell) for cell in cells)
        for cells in re.findall(r"\| (\d+\.\d) \| (\d+\.\d) \| (\d+\.\d) \|$", page, re.M)
    }
    models = yaml.safe_load((FOLDER / "metafile.yml").read_text())["Models"]
    assert not [model["Name"] for model in models if f"]({model['Name']}.py)" not in page]
    reported = [
        tuple(figures)
        for model in models
        for name, table in model["Metadata"].get("Reported by the papers", {}).items()
        if name != "Source"
        for figures in table.values()
    ]
    assert len(reported) == 19 and set(reported) == rows


def test_amix_is_compared_with_its_own_baseline() -> None:
    models = yaml.safe_load((FOLDER / "metafile.yml").read_text())["Models"]
    tables = models[0]["Metadata"]["Reported by the papers"]
    unmix, amix = tables["VOC 2007 test, box"], tables["VOC 2007 test, box, AMix"]
    assert amix["MoCo v2"] == [82.2, 56.9, 63.4] != unmix["MoCo v2, 200 epochs"]
    assert not [name for name in unmix if "AMix" in name]
