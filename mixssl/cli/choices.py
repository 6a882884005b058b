"""What to train images with, chosen by rules that are a table: each has its cases, and each case its reason."""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from mixssl.utils.errors import ConfigError

METHODS = ("simclr", "byol", "moco")
MIXTURES = ("unmix", "mixco", "none")
BACKBONES = {
    "resnet18": 512,
    "resnet34": 512,
    "resnet50": 2048,
    "resnet101": 2048,
    "resnet152": 2048,
    "vit_tiny": 192,
    "vit_small": 384,
    "vit_base": 768,
}
"""Numbers of the feature, by name."""
STEMS = ("3x3", "3x3-pool", "7x7", "patches")
PRECISIONS = ("float32", "bfloat16")
OUR_RECEIPTS = "our runs on 5,000 images of CIFAR-10 (docs/en/results.md)"
PAPERS = "the papers' recipes"
HABIT = "usual in the field"

Facts = SimpleNamespace
"""What was seen of the images and of the machine, and the values chosen so far, by name."""


class Case(NamedTuple):
    """A value, or what computes it, where a condition holds; ``why`` may name facts as ``str.format`` does."""

    when: Callable[[Facts], bool]
    value: Any
    why: str


class Rule(NamedTuple):
    """How one option is chosen: its first case that holds.

    Attributes:
        option: Its name; on the command line ``--option``.
        kind: Type of its value, or the values it can have.
        help: What it is.
        cases: In order; the last one always holds.
        source: Where the rule comes from.
        least: Smallest value, for numbers.
    """

    option: str
    kind: Any
    help: str
    cases: tuple[Case, ...]
    source: str
    least: float = 0


class Choice(NamedTuple):
    """A value and where it comes from."""

    option: str
    value: Any
    why: str
    source: str


def _always(_: Facts) -> bool:
    return True


def _floor_power(value: float, most: int) -> int:
    """Largest power of two that is at most ``value`` and ``most``, at least 2."""
    power = 2
    while 2 * power <= min(value, most):
        power *= 2
    return power


def _view(facts: Facts) -> int:
    """The median shorter side in steps of 16 (in steps of 8 below 32), from 8 to 224, or to 64 without a GPU."""
    step = 16 if facts.side >= 32 else 8
    return int(min(max(facts.side // step * step, 8), 224 if facts.gpu else 64))


def _batch(facts: Facts) -> int:
    """By images, memory and device: a quarter of the images at most, so that an epoch has steps."""
    most = 256 if facts.gpu else 128
    # With its 7x7 stem a ResNet-18 keeps about 600 bytes for each pixel of a view, a ResNet-50 four times that.
    denser = {"3x3": 10, "3x3-pool": 4, "7x7": 1, "patches": 1}[facts.stem]
    kept = facts.view_size**2 * denser * 600
    kept *= 4 if BACKBONES[facts.backbone] > 512 else 1
    views = 3 if facts.mixture != "none" else 2
    fits = facts.memory * 0.5 / (kept * views)
    return _floor_power(min(fits, facts.train_images // 4), most)


def _epochs(facts: Facts) -> int:
    """So many that the run has 40,000 steps on GPUs and 3,000 without, between 100 and 800, or 20 and 200, epochs."""
    steps, least, most = (40_000, 100, 800) if facts.gpu else (3_000, 20, 200)
    each = max(facts.train_images // (facts.batch_size * facts.devices), 1)
    return int(min(max(round(steps / each), least), most))


RULES = (
    Rule(
        "channels",
        int,
        "channels of the network's input, 1 to 16",
        (Case(_always, lambda f: f.found_channels, "{channel_words}"),),
        "the images",
        1,
    ),
    Rule(
        "held_back",
        int,
        "images that are not trained on, to measure with",
        (
            Case(
                _always,
                lambda f: min(max(f.images // 10, 2), 1000),
                "a tenth, at most 1,000",
            ),
        ),
        HABIT,
        2,
    ),
    Rule(
        "method",
        METHODS,
        "how views are compared",
        (
            Case(
                lambda f: f.images < 100_000,
                "simclr",
                "best of four methods in features, with and without a mixture",
            ),
            Case(_always, "moco", "a queue stands in for large batches"),
        ),
        f"{OUR_RECEIPTS}; above 100,000 images {PAPERS}",
    ),
    Rule(
        "mixture",
        MIXTURES,
        "how images are mixed",
        (
            Case(
                lambda f: f.method == "moco" and f.images < 20_000,
                "none",
                "with MoCo and few images it gained nothing",
            ),
            Case(_always, "unmix", "raised linear accuracy by 1.4 (SimCLR) and 1.5 points (BYOL)"),
        ),
        OUR_RECEIPTS,
    ),
    Rule(
        "view_size",
        int,
        "side of a view in pixels",
        (
            Case(lambda f: f.side < 224, _view, "near the median shorter side, {side}"),
            Case(lambda f: f.gpu, 224, "median shorter side {side}"),
            Case(_always, _view, "no GPU: 64 pixels cost a twelfth of 224"),
        ),
        HABIT,
        8,
    ),
    Rule(
        "load_size",
        int,
        "side of the square that views are cut from; 0 for images as they are",
        (
            Case(
                lambda f: f.one_size and max(f.one_size) <= f.view_size * 8 / 7,
                0,
                "all images are {one_size[0]}x{one_size[1]}",
            ),
            Case(
                _always,
                lambda f: round(f.view_size * 8 / 7),
                "8/7 of a view, a new random square of each image each time",
            ),
        ),
        HABIT,
    ),
    Rule(
        "backbone",
        tuple(BACKBONES),
        "network",
        (
            Case(
                lambda f: f.start_backbone, lambda f: f.start_backbone, "the weights to start from"
            ),
            Case(lambda f: not f.gpu, "resnet18", "no GPU"),
            Case(
                lambda f: f.images < 100_000 or f.view_size < 96,
                "resnet18",
                "{images} images of {view_size} pixels",
            ),
            Case(_always, "resnet50", "{images} images of {view_size} pixels"),
        ),
        HABIT,
    ),
    Rule(
        "stem",
        STEMS,
        "first layers: a 3x3 convolution of stride 1, the same with max-pooling, or 7x7 with stride 2 and pooling",
        (
            Case(
                lambda f: f.start_stem and not (f.start_stem == "3x3" and f.view_size > 40),
                lambda f: f.start_stem,
                "the weights to start from",
            ),
            Case(lambda f: f.backbone.startswith("vit"), "patches", "a transformer"),
            Case(lambda f: f.view_size <= 40, "3x3", "views of {view_size} pixels"),
            Case(lambda f: f.view_size <= 80, "3x3-pool", "views of {view_size} pixels"),
            Case(_always, "7x7", "views of {view_size} pixels"),
        ),
        "solo-learn, W-MSE: 3x3 up to 32 pixels, with pooling at 64",
    ),
    Rule(
        "crop_min",
        float,
        "smallest share of an image that a view shows",
        (
            Case(lambda f: f.method == "moco", 0.2, "MoCo v2"),
            Case(lambda f: f.view_size < 32, 0.2, "views of {view_size} pixels hold little"),
            Case(_always, 0.08, "SimCLR, BYOL"),
        ),
        PAPERS,
        0.01,
    ),
    Rule(
        "colour",
        float,
        "strength of colour jitter, or of brightness and contrast where there are no three channels",
        (
            Case(lambda f: f.channels == 3, 0.4, "colours"),
            Case(_always, 0.4, "brightness and contrast: {channels} channels are no colours"),
        ),
        PAPERS,
    ),
    Rule(
        "blur",
        float,
        "share of views that are blurred",
        (
            Case(lambda f: f.view_size <= 64, 0.0, "views of {view_size} pixels"),
            Case(_always, 0.5, "views of {view_size} pixels"),
        ),
        PAPERS,
    ),
    Rule(
        "flip",
        float,
        "share of views that are mirrored; 0 where left and right mean something",
        (Case(_always, 0.5, "mirrored images look alike"),),
        PAPERS,
    ),
    Rule(
        "batch_size",
        int,
        "images on each device per step",
        (
            Case(
                _always,
                _batch,
                "a power of two: at most {most_batch}, a quarter of {train_images} images, and what fits into half of "
                "{memory_words}",
            ),
        ),
        "memory by a rule of thumb: lower it if it does not fit",
        2,
    ),
    Rule(
        "queue",
        int,
        "keys of earlier batches (MoCo)",
        (
            Case(lambda f: f.method != "moco", 0, "none in {method}"),
            Case(
                _always,
                lambda f: max(
                    _floor_power(f.train_images / 2, 65536)
                    // (f.batch_size * f.devices)
                    * (f.batch_size * f.devices),
                    f.batch_size * f.devices,
                ),
                "at most half of {train_images} images: more, and an image's older keys are its negatives",
            ),
        ),
        f"lightly-train's table; {OUR_RECEIPTS}",
    ),
    Rule(
        "temperature",
        float,
        "of the contrastive loss",
        (
            Case(lambda f: f.method == "moco", 0.2, "MoCo v2"),
            Case(_always, 0.5, "the recipe of our best runs"),
        ),
        f"{PAPERS}; {OUR_RECEIPTS}",
    ),
    Rule(
        "lr",
        float,
        "highest learning rate, for all devices together",
        (
            Case(
                lambda f: f.method == "moco",
                lambda f: round(0.03 * f.batch_size * f.devices / 256 * f.start, 6),
                "SGD, 0.03 for 256 images{start_words}",
            ),
            Case(
                _always,
                lambda f: round(
                    3e-3 * min(1, (f.batch_size * f.devices / 128) ** 0.5) * f.start, 6
                ),
                "Adam, 0.003, less by the square root for batches below 128{start_words}",
            ),
        ),
        f"{PAPERS}; {OUR_RECEIPTS}",
        1e-9,
    ),
    Rule(
        "epochs",
        int,
        "passes over the images",
        (Case(_always, _epochs, "steps count: {steps_words}"),),
        "lightly-train, DINOv2: more epochs for fewer images",
        1,
    ),
    Rule(
        "warmup_epochs",
        int,
        "epochs in which the learning rate rises",
        (Case(_always, lambda f: min(10, f.epochs // 10), "a tenth, at most 10"),),
        "lightly-train",
    ),
    Rule(
        "precision",
        PRECISIONS,
        "of the forward and backward pass",
        (
            Case(lambda f: f.gpu, "bfloat16", "half the memory, and no loss scale"),
            Case(_always, "float32", "no GPU"),
        ),
        "docs/en/user_guides/speed.md",
    ),
    Rule(
        "workers",
        int,
        "processes that load images, for each device",
        (
            Case(lambda f: f.in_memory, 0, "images are held in memory: {held_words}"),
            Case(
                _always,
                lambda f: min(max(f.cores // f.devices - 1, 1), 8),
                "cores: {cores}, devices: {devices}",
            ),
        ),
        "lightly-train: cores per device less one, at most 8",
    ),
)


def choose(facts: Mapping[str, Any], given: Mapping[str, Any]) -> list[Choice]:
    """Chooses every option by its rule, unless a person has.

    Args:
        facts: ``images``, ``found_channels``, ``side``, ``one_size``, ``gpu``, ``devices``, ``cores``, ``memory`` in
            bytes, and words to fill reasons with.
        given: Options that a person has set; None for not.

    Raises:
        ConfigError: A value that an option can't have.
    """
    known = Facts(**facts)
    choices = []
    for rule in RULES:
        value = given.get(rule.option)
        if value is not None:
            choice = Choice(rule.option, _checked(rule, value), "as asked for", "")
        else:
            case = next(case for case in rule.cases if case.when(known))
            value = case.value(known) if callable(case.value) else case.value
            setattr(known, rule.option, value)
            _follow(known, rule.option)
            choice = Choice(rule.option, value, case.why.format(**vars(known)), rule.source)
        setattr(known, rule.option, choice.value)
        _follow(known, rule.option)
        choices.append(choice)
    return choices


def _follow(known: Facts, option: str) -> None:
    """What later rules and reasons need of an option."""
    if option == "held_back":
        known.train_images = known.images - known.held_back
        if known.train_images < 4:
            raise ConfigError(
                f"{known.images} images, of which {known.held_back} are held back, are too few to train on: bring "
                "more, or lower --held-back"
            )
    if option == "epochs":
        each = max(known.train_images // (known.batch_size * known.devices), 1)
        known.steps_words = f"{known.epochs * each} of {known.batch_size * known.devices} images"


def _checked(rule: Rule, value: Any) -> Any:
    """The value, if the option can have it."""
    if isinstance(rule.kind, tuple):
        if value not in rule.kind:
            raise ConfigError(f"{rule.option} is {value!r}; choose one of {', '.join(rule.kind)}")
        return value
    if value < rule.least:
        raise ConfigError(f"{rule.option} is {value}; it must be at least {rule.least:g}")
    return rule.kind(value)
