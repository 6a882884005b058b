"""Refuses runs that would train nothing, or something else than was meant."""

import os
from collections import Counter
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner
from mmpretrain.datasets import CustomDataset
from torch import nn

from mixssl.datasets.named_failures import name_failures, parts_of
from mixssl.models.memory import queue_length
from mixssl.models.methods import MixDistill
from mixssl.registry import HOOKS
from mixssl.utils.checkpoints import mismatch, state_dict_of
from mixssl.utils.distributed import batch_size, unwrap
from mixssl.utils.errors import ConfigError
from mixssl.utils.names import refuse_moved

OTHER_IMAGES = {
    *(".avif", ".bmp", ".gif", ".heic", ".jfif", ".jp2", ".jpeg"),
    *(".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"),
}
"""Endings by which people know images; a data set reads those in its ``extensions``."""
NOT_OF_THE_DATA = ("RPN", "Semantic")
"""In the names of heads whose ``num_classes`` counts something else than the data's classes."""


@HOOKS.register_module()
class RunCheckHook(Hook):
    """Says what is trained, on how many images and how long, and refuses it where that can't be meant.

    It looks at data, model and schedule when all of them are built, right before the first step.

    Refused with one line: an epoch without a step, a run without an epoch, a head for another number of classes than
    the data has, a folder of which the data set would read the lesser part, a queue of a teacher's features that is
    longer than the data, and weights in ``load_from`` that are of another architecture. Said in the log: images that
    are not read, and a queue of more than half the data.

    Raises:
        ConfigError: In training, before the first step.
    """

    priority = "HIGHEST"  # before a monitor measures anything

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compares the weights of ``load_from`` with the backbone; resuming is ExactResumeHook's."""
        if not runner._resume:
            _check_start(unwrap(runner.model), checkpoint, str(runner._load_from))

    def before_train(self, runner: Runner) -> None:
        """Runs all checks."""
        refuse_moved(runner.cfg)
        check_loop(runner.train_loop)
        runner.logger.info(headline(runner))
        _note_end(runner)
        for dataset in parts_of(runner.train_dataloader.dataset):
            if type(dataset) is CustomDataset and not dataset.ann_file and is_main_process():
                _check_folder(runner, dataset)
        _check_classes(runner)
        _check_queue(runner)
        name_failures(runner.train_dataloader)
        if runner.val_loop is not None:
            name_failures(runner.val_dataloader)


def check_loop(loop: BaseLoop) -> None:
    """Raises a ConfigError at a loop without an epoch, or with epochs that have no step.

    Some schedules can't be built for such a loop: a runner of ours asks before it builds them.
    """
    name = _length_of(loop)
    planned = getattr(loop, name, 1)
    if planned < 1:
        raise ConfigError(f"train_cfg.{name} is {planned}, and a run needs at least 1")
    loader = loop.dataloader
    if not hasattr(loader.dataset, "__len__") or len(loader):
        return
    images, devices = len(loader.dataset), get_world_size()
    if not images:
        raise ConfigError("train_dataloader.dataset holds no image: name the folder that does")
    raise ConfigError(
        f"train_dataloader.dataset has {images} images and a batch takes {batch_size(loader)}"
        f"{f' on each of {devices} devices' if devices > 1 else ''}, so that an epoch has no step: set "
        f"train_dataloader.batch_size to at most {images // devices}"
    )


def headline(runner: Runner) -> str:
    """What is trained, on what, and how long, in one line."""
    model, loader = unwrap(runner.model), runner.train_dataloader
    learned = sum(value.numel() for value in model.parameters() if value.requires_grad)
    mixer = getattr(getattr(model, "data_preprocessor", None), "mixer", None)
    mixed = "" if mixer is None else f" with {type(mixer).__name__}"
    size = f"{learned / 1e6:.1f} M" if learned > 1e5 else f"{learned:,}"
    what = f"Training {type(model).__name__}{mixed} ({size} parameters)"
    counts = _length_of(runner.train_loop)
    if not hasattr(loader.dataset, "__len__"):
        return f"{what}: {getattr(runner, counts)} {counts.removeprefix('max_')}"
    *_, innermost = parts_of(loader.dataset)
    batch = batch_size(loader)
    batches = f"{batch} images" if get_world_size() == 1 else f"{get_world_size()} x {batch} images"
    epochs = f" {runner.max_epochs} epochs," if counts == "max_epochs" else ""
    return (
        f"{what} on {len(loader.dataset)} images of {type(innermost).__name__}: {len(loader)} steps of {batches} an "
        f"epoch,{epochs} {runner.max_iters} steps in all"
    )


def _length_of(loop: BaseLoop) -> str:
    """What a loop counts, as train_cfg names it."""
    return "max_epochs" if isinstance(loop, EpochBasedTrainLoop) else "max_iters"


def _note_end(runner: Runner) -> None:
    """Says so where a run that is resumed is over already; it ends well."""
    if runner.iter >= runner.max_iters:
        name = _length_of(runner.train_loop)
        runner.logger.warning(
            f"Nothing is left to train: {runner._load_from} was written after iteration {runner.iter} of "
            f"{runner.max_iters}. To go on from it, raise train_cfg.{name} above {getattr(runner, name)}."
        )


def _check_folder(runner: Runner, dataset: Any) -> None:
    """Images that a data set of mmpretrain's passes over: outside of its folders, or with another ending."""
    root = Path(dataset.img_prefix)
    if not root.is_dir():  # behind a scheme such as s3://
        return
    outside = [path for path in os.scandir(root) if dataset.is_valid_file(path.name)]
    if dataset.with_label and outside:
        line = (
            f"{root} has {len(outside)} images outside of folders, and with_label=True reads the {len(dataset)} inside "
            "alone: set train_dataloader.dataset.with_label=False to read all, or put each into the folder of its class"
        )
        if len(outside) >= len(dataset):
            raise ConfigError(line)
        runner.logger.warning(line)
    endings = Counter(Path(name).suffix.lower() for _, _, names in os.walk(root) for name in names)
    passed = {
        ending: number
        for ending, number in sorted(endings.items())
        if ending in OTHER_IMAGES and not dataset.is_valid_file(f"x{ending}")
    }
    if passed:
        known = tuple(sorted({*dataset.extensions, *passed}))
        runner.logger.warning(
            f"{sum(passed.values())} images in {root} are not read, for their endings {', '.join(passed)}: set "
            f"train_dataloader.dataset.extensions={known} to read them too"
        )


def _check_classes(runner: Runner) -> None:
    """A head for another number of classes than the data has."""
    metainfo = getattr(runner.train_dataloader.dataset, "metainfo", None) or {}
    classes = metainfo.get("classes")
    if not classes or isinstance(classes, str):
        return
    for name, module in unwrap(runner.model).named_modules():
        kind, number = type(module).__name__, getattr(module, "num_classes", None)
        if not kind.endswith("Head") or any(word in kind for word in NOT_OF_THE_DATA):
            continue
        if isinstance(number, int) and number != len(classes):
            named = ", ".join(map(str, classes[:3])) + (", ..." if len(classes) > 3 else "")
            raise ConfigError(
                f"model.{name}.num_classes is {number}, and the data has {len(classes)} "
                f"class{'es' if len(classes) > 1 else ''} ({named}): set it to {len(classes)}"
            )


def _check_queue(runner: Runner) -> None:
    """A queue that holds keys of most images, those in the batch among them, or features of more than there are."""
    model = unwrap(runner.model)
    queue = getattr(model, "queue_len", None)
    if not isinstance(queue, int) or not hasattr(runner.train_dataloader.dataset, "__len__"):
        return
    images = len(runner.train_dataloader.dataset)
    if queue > images and isinstance(model, MixDistill):
        raise ConfigError(
            f"model.queue_len is {queue}, and there are {images} images for the teacher to make features of: set "
            f"model.queue_len={queue_length(images)}"
        )
    if 2 * queue > images:
        runner.logger.warning(
            f"model.queue_len is {queue}, more than half of the {images} images: an image meets older keys of itself "
            f"as negatives. Take at most {images // 2}, in whole batches."
        )


def _check_start(model: nn.Module, checkpoint: dict, path: str) -> None:
    """Weights of which the backbone gets a part or nothing; mmengine would load what fits."""
    wanted = {
        name: value
        for name, value in model.state_dict().items()
        if name.startswith("backbone.") and not name.endswith("num_batches_tracked")
    }
    found = {name: value for name, value in state_dict_of(checkpoint).items() if name in wanted}
    listed = mismatch(wanted, found)
    if wanted and listed:
        raise ConfigError(
            f"load_from is {path!r}, whose weights are not those of the model's backbone: {listed}. Name a checkpoint "
            "of the same backbone, or leave load_from out"
        )
