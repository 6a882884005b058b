"""RegionCL's boxes lie on cells."""

from __future__ import annotations

import pytest
import torch
from support.tiny import views

from mixssl.mixing import RegionCL


def test_boxes_are_whole_cells_of_the_sizes_asked_for() -> None:
    mixer, generator = RegionCL(), torch.Generator().manual_seed(0)
    boxes = torch.cat([mixer.draw(7, 7, generator) for _ in range(500)])
    sides = boxes[:, 2:] - boxes[:, :2]
    assert set(sides.flatten().tolist()) == {3, 4, 5}
    assert boxes.min() == 0 and boxes.max() == 7
    for side in (3, 4, 5):
        starts = boxes[:, 0][sides[:, 0] == side]
        assert starts.unique().tolist() == list(range(7 - side + 1)), "every place"


def test_the_record_of_a_box(monkeypatch: pytest.MonkeyPatch) -> None:
    mixer, x = RegionCL(stride=4, cells=(2, 3), views=(0, 1)), views(4, 16)
    monkeypatch.setattr(mixer, "draw", lambda *_: torch.tensor([[1, 0, 3, 3]]))
    for mixed, view in zip(mixer(x, torch.Generator()), x, strict=True):
        expected = view.clone()
        expected[:, :, 4:12, :12] = view.flip(0)[:, :, 4:12, :12]
        assert torch.equal(mixed.images, expected)
        assert mixed.boxes.tolist() == [[4, 0, 12, 12]] * 4
        assert mixed.lam.tolist() == [1 - 6 / 16] * 4


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stride": 0}, "stride of RegionCL is 0 and must be >= 1"),
        ({"cells": (3,)}, "cells of RegionCL is .3,. and must be a least and a most"),
        ({"cells": (5, 3)}, "cells of RegionCL is .5, 3."),
        ({"stride": 5}, "which stride 5 cuts into 3 x 3 cells"),
        ({"stride": 4, "cells": (2, 4)}, "4 x 4 cells, and a box of up to 4: let stride divide"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        RegionCL(**settings)(views(4, 16), torch.Generator())
