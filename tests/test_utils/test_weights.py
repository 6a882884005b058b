"""Differences of state dicts are named; prefixes are understood."""

import torch

from mixssl.utils.weights import mismatch, part_of, state_dict_of


def test_equal_names_and_shapes_are_no_difference() -> None:
    one, two = (
        {"a": torch.zeros(2), "b": torch.ones(3, 1)},
        {"b": torch.zeros(3, 1), "a": torch.ones(2)},
    )
    assert mismatch(one, two) == ""


def test_every_kind_of_difference_is_named() -> None:
    wanted = {"a": torch.zeros(2), "b": torch.zeros(1), "c": torch.zeros(1)}
    found = {"a": torch.zeros(3), "d": torch.zeros(1)}
    assert mismatch(wanted, found) == (
        "2 missing (b, c); 1 unexpected (d); 1 of another shape (a (3,) instead of (2,))"
    )
    assert mismatch(wanted, {}, most=1) == "3 missing (a, ...)"


def test_state_dicts_are_found_and_wrappers_taken_off() -> None:
    value = torch.zeros(1)
    assert state_dict_of({"state_dict": {"module.a": value}, "meta": {}}) == {"a": value}
    assert state_dict_of({"a": value}) == {"a": value}


def test_parts() -> None:
    value = torch.zeros(1)
    whole = {"backbone.conv": value, "neck.fc": value, "head.x": value, "queue": value}
    assert part_of(whole, "backbone") == {"conv": value}
    assert part_of(whole, "neck") == {"fc": value}
    bare = {"conv": value, "fc.weight": value}
    assert part_of(bare, "backbone") == {"conv": value}
    assert part_of(bare, "neck") == {}
