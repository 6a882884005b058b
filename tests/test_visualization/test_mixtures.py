"""A picture of mixtures shows their images, weights, boxes and λ; one of stages, the same as each rendered them."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mixssl.mixing import UnMix, mask_blend
from mixssl.structures import MixedView
from mixssl.visualization import figure_pixels, mixture_figure, mixture_kind, stages_figure

MEAN, STD = [100.0, 110.0, 120.0], [50.0, 60.0, 70.0]


@pytest.fixture
def views() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(4, 3, 8, 8, generator=generator) for _ in range(2)]


def _mix(views: list[torch.Tensor], p_global: float, seed: int = 0) -> MixedView:
    return UnMix(p_global=p_global)(views, torch.Generator().manual_seed(seed))[0]


def _tiles(figure: Figure) -> list:
    return [axes for axes in figure.axes if axes.images]


def _shown(tile) -> np.ndarray:
    return np.asarray(tile.images[0].get_array())


@pytest.mark.parametrize("p_global", [0.0, 1.0])
def test_lam_and_weights_are_the_mixtures_own(views: list[torch.Tensor], p_global: float) -> None:
    mixture = _mix(views, p_global)
    own, partner, weight, mixed = _tiles(mixture_figure(views, [mixture]))
    lam = float(mixture.lam[0])
    assert mixed.get_xlabel() == f"λ = {lam:.2f}"
    assert own.get_xlabel() == f"× {lam:.2f}"
    assert partner.get_xlabel() == f"× {1 - lam:.2f}"
    assert weight.get_xlabel() == ("global" if p_global else "region")
    assert _shown(weight).mean() == pytest.approx(lam, abs=1e-6)


def test_pixels_are_the_rows_own_with_the_normalisation_undone(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 1.0)
    own, partner, _, mixed = _tiles(mixture_figure(views, [mixture], MEAN, STD, rows=[1]))
    scale = torch.tensor(STD).view(3, 1, 1), torch.tensor(MEAN).view(3, 1, 1)
    for tile, image in ((own, views[0][1]), (partner, views[0][2]), (mixed, mixture.images[1])):
        wanted = ((image * scale[0] + scale[1]) / 255).permute(1, 2, 0)
        np.testing.assert_allclose(_shown(tile), wanted, atol=1e-6)


def test_a_box_is_outlined_where_it_lies(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 0.0)
    mixture = mixture._replace(boxes=torch.tensor([[1, 2, 5, 8]]).expand(4, 4))
    own, *others = _tiles(mixture_figure(views, [mixture]))
    assert not own.patches
    for tile in others:
        (box,) = (patch for patch in tile.patches if isinstance(patch, Rectangle))
        assert box.get_xy() == (1.5, 0.5)
        assert (box.get_width(), box.get_height()) == (6, 4)


def test_an_empty_box_is_not_outlined(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 0.0)._replace(boxes=torch.tensor([[3, 3, 3, 3]]).expand(4, 4))
    assert not any(tile.patches for tile in _tiles(mixture_figure(views, [mixture])))


def test_a_partner_of_another_view_is_drawn_and_named(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 1.0)._replace(partner_view=1, partner=torch.arange(4))
    partner = _tiles(mixture_figure(views, [mixture]))[1]
    assert partner.get_xlabel().endswith("(view 1)")
    np.testing.assert_allclose(_shown(partner), (views[1][0] / 255).permute(1, 2, 0), atol=1e-6)


def test_each_mixture_has_its_row_by_default(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 1.0)._replace(lam=torch.tensor([0.1, 0.2, 0.3, 0.4]))
    tiles = _tiles(mixture_figure(views, [mixture] * 3, title="three"))
    assert [tile.get_xlabel() for tile in tiles[3::4]] == ["λ = 0.10", "λ = 0.20", "λ = 0.30"]


def test_a_row_that_is_mixed_with_itself_is_passed_over(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 1.0)._replace(
        lam=torch.tensor([0.1, 0.2, 0.3, 0.4]), partner=torch.tensor([0, 1, 3, 2])
    )
    tiles = _tiles(mixture_figure(views, [mixture] * 2))
    assert [tile.get_xlabel() for tile in tiles[3::4]] == ["λ = 0.30", "λ = 0.30"]
    alone = mixture._replace(partner=mixture.index)
    assert _tiles(mixture_figure(views, [alone]))[3].get_xlabel() == "λ = 0.10"


def test_a_learned_mask_is_shown_with_its_mean(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 1.0)._replace(mask=torch.full((4, 1, 8, 8), 0.25), learned="block")
    own, partner, weight, _ = _tiles(mixture_figure(views, [mixture]))
    lam = float(mixture.lam[0])
    assert weight.get_xlabel() == "for the block\nmean 0.25"
    assert own.get_xlabel() == f"λ = {lam:.2f}" and partner.get_xlabel() == f"1 − λ = {1 - lam:.2f}"


def test_kinds(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 1.0)
    assert mixture_kind(mixture) == "global"
    assert mixture_kind(_mix(views, 0.0)) == "region"
    soft = torch.linspace(0, 1, 64).view(1, 1, 8, 8).repeat(4, 1, 1, 1)
    soft[0] = 1  # a mask that happens to cover all of the first image
    assert mixture_kind(mixture._replace(mask=soft)) == "mask"
    assert mixture_kind(mixture._replace(learned="encoder")) == "for the encoder"
    assert mixture_kind(mixture._replace(images=None, layer="layer1")) == "hidden"


def test_views_and_mixtures_stay_as_they_were(views: list[torch.Tensor]) -> None:
    before = [view.clone() for view in views]
    mixture = _mix(views, 0.0)
    pixels = mixture.images.clone()
    mixture_figure(views, [mixture], MEAN, STD)
    assert all(torch.equal(a, b) for a, b in zip(before, views, strict=True))
    assert torch.equal(pixels, mixture.images)


def test_what_cannot_be_drawn(views: list[torch.Tensor]) -> None:
    mixture = _mix(views, 1.0)
    with pytest.raises(ValueError, match="positive"):
        mixture_figure(views, [])
    with pytest.raises(ValueError, match="longer"):
        mixture_figure(views, [mixture], rows=[0, 1])
    with pytest.raises(ValueError, match="no pixels yet"):
        mixture_figure(views, [mixture._replace(images=None)])


def _rendered(views: list[torch.Tensor], weight: float) -> MixedView:
    index = torch.arange(4)
    mask = torch.full((4, 1, 8, 8), weight)
    mask[..., :4] = 1
    mixed = mask_blend(views[0], views[0].flip(0), mask)
    lam = torch.tensor([0.1, 0.2, 0.3, 0.4])
    return MixedView(mixed, 0, 0, index, index.flip(0), lam, mask, learned="encoder")


def test_each_stage_shows_its_mask_over_its_mixture(views: list[torch.Tensor]) -> None:
    stages = {f"epoch_{i}": [_rendered(views, i / 4)] * 2 for i in (1, 2, 3)}
    figure = stages_figure(views, stages, title="masks")
    axes = np.array(figure.axes).reshape(4, 4)  # two mixtures, two lines each
    shown = [[np.asarray(axis.images[0].get_array()) for axis in line] for line in axes]
    labels = [[axis.get_xlabel() for axis in line] for line in axes]
    for number, lam in enumerate((0.1, 0.2)):
        top, bottom = shown[2 * number], shown[2 * number + 1]
        row = number
        images = (views[0] / 255).permute(0, 2, 3, 1)
        np.testing.assert_allclose(top[0], images[row], atol=1e-6)
        np.testing.assert_allclose(bottom[0], images[3 - row], atol=1e-6)
        assert labels[2 * number][0] == f"λ = {lam:.2f}"
        for column, mixtures in enumerate(stages.values(), start=1):
            np.testing.assert_allclose(top[column], mixtures[number].mask[row, 0])
            mixed = (mixtures[number].images[row] / 255).permute(1, 2, 0)
            np.testing.assert_allclose(bottom[column], mixed, atol=1e-6)
            assert labels[2 * number][column] == f"mean {(4 + column) / 8:.2f}"
    assert axes[0, 2].get_title().startswith("epoch_2")
    assert figure_pixels(figure).shape[1] == 1200


def test_stages_that_cannot_be_drawn(views: list[torch.Tensor]) -> None:
    mixture = _rendered(views, 0.5)
    with pytest.raises(ValueError, match="positive"):
        stages_figure(views, {})
    with pytest.raises(ValueError, match="positive"):
        stages_figure(views, {"a": []})
    with pytest.raises(ValueError, match="longer"):
        stages_figure(views, {"a": [mixture], "b": [mixture] * 2})
    with pytest.raises(ValueError, match="no pixels yet"):
        stages_figure(views, {"a": [mixture._replace(images=None)]})
