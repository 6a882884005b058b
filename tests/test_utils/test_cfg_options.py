"""--cfg-options: from words to values."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from mmengine.config import Config

from mixssl.utils.cfg_options import add_cfg_options, merge_options
from mixssl.utils.errors import ConfigError


def _parsed(*words: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    return parser.parse_args(["--cfg-options", *words]).cfg_options


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("a=1", 1),
        ("a=1e-3", 1e-3),
        ("a=None", None),
        ("a=true", True),
        ("a=bfloat16", "bfloat16"),
        ("a=", ""),
        ("a=b=c", "b=c"),
        ("a=1,2", [1, 2]),
        ("a=[1,(x,y)]", [1, ("x", "y")]),
        ("a=[dict,'y']", ["dict", "y"]),
        ("a=[{'type':'X','n':1}]", [{"type": "X", "n": 1}]),
        ("a={'type': 'X'}", {"type": "X"}),
        ("a='x'", "x"),
    ],
)
def test_a_word_becomes_a_value(word: str, value: Any) -> None:
    assert _parsed(word) == {"a": value}


def test_options_are_gathered_and_merged_at_once() -> None:
    cfg = Config({"model": {"type": "A", "depth": 18}})
    merge_options(cfg, _parsed("model._delete_=True", "model.type=B", "model.x=1"))
    assert cfg.model.to_dict() == {"type": "B", "x": 1}
    merge_options(cfg, None)
    parser = argparse.ArgumentParser()
    add_cfg_options(parser)
    given = parser.parse_args(["--cfg-options", "a=1", "--cfg-options", "b=2", "a=3"])
    assert given.cfg_options == {"a": 3, "b": 2}


@pytest.mark.parametrize("word", ["amp", "=1", ""])
def test_a_word_that_says_nothing_is_named(word: str) -> None:
    with pytest.raises(ConfigError, match=f"got {word!r}, which is no KEY=VALUE"):
        _parsed(word)


def test_a_key_that_leads_through_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="model.depth.x does not fit the config"):
        merge_options(Config({"model": {"depth": 18}}), {"model.depth.x": 1})
