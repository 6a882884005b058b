"""Statistics of batch normalisation that belong to the weights of the moment."""

import copy
from collections.abc import Iterable
from itertools import islice
from typing import Any, cast

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import DataLoader

from mixssl.engine.data_workers import leave_signals_to_main
from mixssl.registry import HOOKS
from mixssl.utils.distributed import unwrap
from mixssl.utils.errors import ConfigError, require_at_least
from mixssl.utils.random_state import kept_random_state


@HOOKS.register_module()
class PreciseBNHook(Hook):
    """Measures the statistics of batch normalisation anew before each validation and at the end of training.

    In training they trail behind the weights. Here they become the mean, over training batches and processes, of the
    batches' means and unbiased variances under the present weights, as Detectron2 takes them. The batches go through
    the model as in training, loss included, so that a head on regions sees those regions which it is trained on;
    mmpretrain's hook of this name sends a detector down the path of a test, where they are others, and takes the
    batches from the training loader itself.

    Nothing else changes: the batches come from a loader of their own, random states are put back, and training goes on
    as without the hook. It runs before the checkpoint of the same step is written, which then holds the statistics
    that were validated.

    Args:
        num_iters: Batches per process, at least 1; a loader that ends before gives what it has.

    Raises:
        ConfigError: If ``num_iters`` is below 1.
        ConfigError: In training, if the runner was not built from a config with a ``train_dataloader``.
    """

    priority = "NORMAL"  # before CheckpointHook (VERY_LOW)

    def __init__(self, num_iters: int = 200) -> None:
        require_at_least(1, "PreciseBNHook: ", num_iters=num_iters)
        self.num_iters = num_iters

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Measures where a loop over iterations will validate or end."""
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop) and _is_due(runner, loop.iter + 1, loop.max_iters):
            self._measure(runner)

    def after_train_epoch(self, runner: Runner) -> None:
        """Measures where a loop over epochs will validate or end."""
        loop = runner.train_loop
        if isinstance(loop, EpochBasedTrainLoop) and _is_due(
            runner, loop.epoch + 1, loop.max_epochs
        ):
            self._measure(runner)

    def _measure(self, runner: Runner) -> None:
        """Puts new statistics into the runner's model."""
        model = unwrap(runner.model)
        with kept_random_state():
            batches = islice(_own_loader(runner), self.num_iters)
            layers, count = average_statistics(model, batches)
        runner.logger.info(
            f"Precise BN: statistics of {layers} layers are now the mean over {count} batches."
        )


def _is_due(runner: Runner, done: int, last: int) -> bool:
    """Whether validation follows, or nothing does, after ``done`` iterations or epochs."""
    loop = runner.train_loop
    validates = runner.val_loop is not None and done >= loop.val_begin
    return done == last or bool(validates and done % loop.val_interval == 0)


def _own_loader(runner: Runner) -> DataLoader:
    """A loader of the training data beside that of the training loop, whose place in the data must not move."""
    cfg = (runner.cfg or {}).get("train_dataloader")
    if not isinstance(cfg, dict):
        raise ConfigError(
            "PreciseBNHook builds a loader of its own from the config's train_dataloader, and this runner's config has "
            "none: build the runner from a config, or leave the hook out"
        )
    cfg = copy.deepcopy({key: value for key, value in cfg.items() if key != "dataset"})
    dataset = runner.train_loop.dataloader.dataset
    own = {**cfg, "dataset": dataset, "persistent_workers": False}
    # Other batches each time, the same in each run of the same seed.
    seed = (runner.seed + 1 + runner.iter) % 2**31
    diff_rank_seed = (runner.cfg.get("randomness") or {}).get("diff_rank_seed", False)
    loader = Runner.build_dataloader(own, seed=seed, diff_rank_seed=diff_rank_seed)
    leave_signals_to_main(loader)
    return loader


@torch.no_grad()
def average_statistics(model: nn.Module, batches: Iterable[Any]) -> tuple[int, int]:
    """Replaces the running statistics of a model in training mode by their mean over batches and processes.

    Layers in evaluation mode, and layers that no batch reaches, keep what they have; so do momentum and the count of
    batches of all.

    Args:
        model: With mmengine's data preprocessor, and without its distributed wrapper. Its loss must not change
            anything but these statistics.
        batches: As a training loader gives them, as many in each process.

    Returns:
        Number of layers measured, and of batches.
    """
    layers: list[_BatchNorm] = [
        module
        for module in model.modules()
        if isinstance(module, _BatchNorm) and module.training and module.track_running_stats
    ]
    before = [
        (layer.momentum, {name: value.clone() for name, value in layer.named_buffers()})
        for layer in layers
    ]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # with which torch keeps the plain mean over all batches
    count, prepare = 0, cast(nn.Module, model.data_preprocessor)
    try:
        for batch in batches:
            model(**prepare(batch, True), mode="loss")
            count += 1
    finally:
        for layer, (momentum, _) in zip(layers, before, strict=True):
            layer.momentum = momentum
    reached = [_settle(layer, kept) for layer, (_, kept) in zip(layers, before, strict=True)]
    return sum(reached), count


def _settle(layer: _BatchNorm, kept: dict[str, torch.Tensor]) -> bool:
    """Averages a layer's new statistics over all batches of all processes; without any, puts the old ones back."""
    buffers = dict(layer.named_buffers())
    own = buffers["num_batches_tracked"].double()
    total = own.clone()
    all_reduce(total)
    if total == 0:
        for name, value in kept.items():
            buffers[name].copy_(value)
        return False
    buffers["num_batches_tracked"].copy_(kept["num_batches_tracked"])
    if get_world_size() > 1:  # synchronised layers agree already, others don't
        for name in ("running_mean", "running_var"):
            mean = buffers[name].double() * (own / total)
            all_reduce(mean)
            buffers[name].copy_(mean)
    return True
