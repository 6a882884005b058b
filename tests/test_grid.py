"""Every method with every mixture: what can be trained trains, and what can't is refused in one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.clusters import clusters
from support.device import same
from support.grid import CONFIGS, config, three_steps
from support.methods_more import mocov3_vit, run_length
from support.tiny import build, preprocessor
from support.tools import load_tool

from mixssl.models.heads import MixHead, OverlapHead
from mixssl.registry import MIXERS, MODELS

pytestmark = pytest.mark.device
GRID = load_tool("grid", "docs")
METHODS = GRID.methods()
MIXERS.import_from_location()
MIXER_CONFIGS = {r.mixer["type"]: r.mixer for r in reversed(GRID.RECIPES) if r.mixer}
HEAD_CONFIGS = {r.head["type"]: r.head for r in reversed(GRID.RECIPES) if r.head}
"""A config of each mixer and of each head, from the first recipe that has it."""


def _reads(mixer: dict, head: dict) -> bool:
    try:
        made, reader = MIXERS.build(mixer), MODELS.build(head)
        reader.check_mixer(made)
    except ValueError:
        return False
    return not (made.layers and reader.targets_mixtures)  # which few methods take


def _others() -> Iterator[Any]:
    """Every mixer with every head that reads it, as far as no recipe has the two."""
    listed = {(r.mixer["type"], r.head["type"]): r for r in GRID.RECIPES if r.mixer}
    for mixer in MIXER_CONFIGS.values():
        for head in HEAD_CONFIGS.values():
            pair = (mixer["type"], head["type"])
            if pair not in listed and _reads(mixer, head):
                name = " with ".join(part.removeprefix("mixssl.") for part in pair)
                by_clusters = MIXERS.get(mixer["type"].removeprefix("mixssl.")).clusters
                model = {"clusters": GRID.ODC} if by_clusters else {}
                widths = (1.0,) * (2 + MIXERS.build(mixer).extra_views)
                yield GRID.Recipe(name, "", mixer, head, model, widths)


OTHERS = list(_others())


def _pairs(recipes: Any, carried: bool) -> list[Any]:
    """Each method, and the recipes that it carries, or that it does not."""
    found = {
        name: [recipe for recipe in recipes if carried != bool(GRID.lacking(method, recipe))]
        for name, method in METHODS.items()
        if name in CONFIGS
    }
    return [pytest.param(name, those, id=name) for name, those in found.items() if those]


def _config(method: str, recipe: Any) -> dict:
    return config(method, recipe.mixer, recipe.head, recipe.model)


@pytest.fixture(autouse=True)
def _known_length() -> Iterator[None]:
    with run_length():
        yield


def test_every_method_has_a_small_config() -> None:
    missing = sorted(set(METHODS) - set(CONFIGS))
    assert not missing, (
        f"{missing} are registered and not tested: add a small config of each to METHODS in "
        "tests/support/methods_more.py, and run docs/grid.py"
    )


def test_every_mixer_and_every_head_is_in_a_recipe() -> None:
    used = {config["type"] for config in (*MIXER_CONFIGS.values(), *HEAD_CONFIGS.values())}
    used |= {
        value["type"] for r in GRID.RECIPES for value in r.model.values() if isinstance(value, dict)
    }
    registered = {f"mixssl.{name}" for name in MIXERS.module_dict} | {
        f"mixssl.{name}"
        for name, found in MODELS.module_dict.items()
        if found.__module__.startswith("mixssl.models.heads")
    }
    assert not registered - used, (
        f"{sorted(registered - used)} are registered and not tested: add a recipe that uses each to RECIPES in "
        "docs/grid.py, a page to docs/en/mixtures, and run docs/grid.py"
    )


@pytest.mark.parametrize(("method", "recipes"), _pairs(GRID.RECIPES, carried=True))
def test_a_pair_trains(method: str, recipes: list[Any], subtests: pytest.Subtests) -> None:
    """Three steps, twice: what each promises is asserted there, and both are the same bit by bit."""
    for recipe in recipes:
        with subtests.test(recipe.name):
            _train_twice(method, recipe)


def _train_twice(method: str, recipe: Any) -> None:
    first, second = (three_steps(_config(method, recipe), recipe.widths) for _ in range(2))
    assert not first.idle, "without a gradient, which distributed training refuses"
    if recipe.mixer is not None:
        assert all(any(name != "loss_clean" for name in losses) for losses in first.losses)
    for a, b in zip(first.losses, second.losses, strict=True):
        assert a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    for name, value in first.state.items():
        assert same(value, second.state[name]), name


@pytest.mark.parametrize(("method", "recipes"), _pairs(OTHERS, carried=True))
def test_any_mixer_trains_with_any_head_that_reads_it(
    method: str, recipes: list[Any], subtests: pytest.Subtests
) -> None:
    for recipe in recipes:
        with subtests.test(recipe.name):
            assert not three_steps(_config(method, recipe), recipe.widths).idle


@pytest.mark.parametrize(("method", "recipes"), _pairs([*GRID.RECIPES, *OTHERS], carried=False))
def test_a_pair_that_cannot_train_is_refused(
    method: str, recipes: list[Any], subtests: pytest.Subtests
) -> None:
    """In one line that names the method or the mixture and says a way out, when the model is built."""
    for recipe in recipes:
        with subtests.test(recipe.name):
            _check_refusal(method, recipe)


def _check_refusal(method: str, recipe: Any) -> None:
    model = {} if "scales" in GRID.lacking(METHODS[method], recipe) else recipe.model
    with pytest.raises((ValueError, TypeError)) as refusal:
        build(config(method, recipe.mixer, recipe.head, model))
    message = str(refusal.value)
    assert "\n" not in message
    names = [
        method,
        *(cfg["type"].removeprefix("mixssl.") for cfg in (recipe.mixer, recipe.head) if cfg),
    ]
    assert any(name in message for name in names), message
    assert any(way in message for way in (": choose", ": set", "or choose")), message


@pytest.mark.parametrize("head", HEAD_CONFIGS)
def test_a_head_reads_a_mixer_or_names_the_way_out(head: str, subtests: pytest.Subtests) -> None:
    for name, mixer in MIXER_CONFIGS.items():
        with subtests.test(name):
            _check_reading(MIXERS.build(mixer), MODELS.build(HEAD_CONFIGS[head]))


def _check_reading(mixer: Any, head: Any) -> None:
    assert isinstance(head, MixHead)
    fits = mixer.layout in head.layouts
    if fits and (not isinstance(head, OverlapHead) or len(mixer.views) == 2):
        head.check_mixer(mixer)
    else:
        way_out = r"set views=\(0, 1\)" if fits else "choose the head made for this mixer"
        with pytest.raises(ValueError, match=way_out) as refusal:
            head.check_mixer(mixer)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "recipe",
    [r for r in GRID.RECIPES if not GRID.lacking(METHODS["MixMoCoV3"], r)],
    ids=lambda recipe: recipe.name,
)
def test_a_transformer_trains_with_what_a_resnet_does(recipe: Any) -> None:
    mixer = dict(recipe.mixer)
    if mixer["type"] == "mixssl.ManifoldMix":
        mixer["layers"] = ("input", "layers.0")
    cfg = mocov3_vit(data_preprocessor=preprocessor(mixer), mix_head=recipe.head, **recipe.model)
    if "mix_block" in cfg:
        cfg["mix_block"] = cfg["mix_block"] | {"layer": "layers.0", "in_channels": 16}
    if "clusters" in cfg:
        cfg["clusters"] = clusters()
    cfg["backbone"] = cfg["backbone"] | {"img_size": 8, "patch_size": 2}
    assert not three_steps(cfg, recipe.widths).idle


def test_hidden_layers_that_a_backbone_has_not_are_refused() -> None:
    cfg = mocov3_vit(
        data_preprocessor=preprocessor({"type": "mixssl.ManifoldMix"}), mix_head=GRID.CROSS
    )
    with pytest.raises(
        ValueError, match="behind 'layer1' and MoCoV3ViT has no such module: choose"
    ):
        build(cfg)


@pytest.mark.parametrize("method", METHODS)
def test_pairing_mixtures_of_one_view_is_refused(method: str) -> None:
    """When the model is built, also inside the head of several sizes."""
    head = {"type": "mixssl.UnMixHead", "pairing": "mixed"}
    with pytest.raises(ValueError, match="mixtures of two views and got 1: set views="):
        build(config(method, GRID.UNMIX, head, {}))
    if "scales" in METHODS[method].capabilities:
        mixer = {"type": "mixssl.MultiScale", "mixer": GRID.UNMIX}
        several = {"type": "mixssl.MultiScaleHead", "head": head}
        with pytest.raises(ValueError, match="mixtures of two views and got 1: set views="):
            build(config(method, mixer, several, {"extra_sizes": (12,)}))


def test_what_makes_negatives_is_no_mix_head() -> None:
    with pytest.raises(ValueError, match="mix_head is a MoCHiHead.*belongs into hard_negatives"):
        build(config("MixMoCo", None, GRID.MOCHI, {}))


def test_the_documents_hold_the_grid() -> None:
    way_out = "run python docs/grid.py"
    assert GRID.PAGE.read_text() == GRID.page(), way_out
