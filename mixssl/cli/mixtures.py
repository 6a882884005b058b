"""What tools/visualize/mixtures.py does: draws what a config's mixer makes."""

import argparse
from pathlib import Path

from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.runner import load_checkpoint, set_random_seed
from torch import Tensor

from mixssl.cli.launch import open_config, set_data_root
from mixssl.evaluation.state import in_evaluation
from mixssl.structures import MixedView
from mixssl.utils.config_checks import preprocessor_of
from mixssl.utils.errors import ConfigError
from mixssl.visualization import (
    build_model,
    draw_mixtures,
    mixture_figure,
    save_figure,
    stages_figure,
)


def title(cfg: Config) -> str:
    """The mixer and its settings, as the config has them."""
    settings = preprocessor_of(cfg)
    mixer = dict(settings.get("mixer") or cfg.model.mix_block)
    name = mixer.pop("type").removeprefix("mixssl.")
    return f"{name}({', '.join(f'{key}={value}' for key, value in mixer.items())})"


def check_checkpoints(paths: list[str], learned: bool) -> None:
    """Raises a ConfigError where there are too few or too many checkpoints, or one is no file."""
    if learned and not paths:
        raise ConfigError(
            "this config's masks are learned, so they are in the checkpoints of a run: name one or more with "
            "--checkpoints"
        )
    if paths and not learned:
        raise ConfigError(
            "this config's masks are not learned, and a checkpoint changes nothing: leave --checkpoints out"
        )
    if len(set(paths)) < len(paths):
        raise ConfigError(f"--checkpoints names a file twice: {' '.join(paths)}")
    for path in paths:
        if not Path(path).is_file():
            raise ConfigError(f"--checkpoints names {path!r}, and there is no such file")


def render(
    cfg: Config, paths: list[str], views: list[Tensor], mixtures: list[MixedView]
) -> dict[str, list[MixedView]]:
    """Has the model of each checkpoint render the same mixtures."""
    model = build_model(cfg)
    names = [Path(path).stem for path in paths]
    if len(set(names)) < len(names):
        names = [str(Path(path).with_suffix("")) for path in paths]
    stages = {}
    for name, path in zip(names, paths, strict=True):
        try:
            load_checkpoint(model, path, map_location="cpu", strict=True)
        except RuntimeError as error:
            line = " ".join(str(error).split())
            raise ConfigError(f"{path} does not fit the config's model: {line[:200]}") from error
        with in_evaluation(model):
            stages[name] = model.render_mixtures(views, mixtures)
    return stages


def draw(cfg: Config, args: argparse.Namespace) -> Figure:
    """The picture."""
    number = (4 if args.checkpoints else 8) if args.num is None else args.num
    views, mixtures = draw_mixtures(cfg, number, args.seed)
    check_checkpoints(args.checkpoints, any(mixture.learned for mixture in mixtures))
    settings = preprocessor_of(cfg)
    norm = settings.get("mean"), settings.get("std")
    if args.checkpoints:
        stages = render(cfg, args.checkpoints, views, mixtures)
        return stages_figure(views, stages, *norm, title=title(cfg))
    return mixture_figure(views, mixtures, *norm, title=title(cfg))


def mixtures(args: argparse.Namespace) -> None:
    """Reads, draws, saves, and says where."""
    cfg = open_config(args.config)
    if args.data_root is not None:
        set_data_root(cfg, args.data_root)
    set_random_seed(args.seed)
    figure = draw(cfg, args)
    out = args.out or Path("work_dirs", Path(args.config).stem, "mixtures.png")
    print(save_figure(figure, out))
