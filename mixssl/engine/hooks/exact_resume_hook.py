"""A resumed run continues where the interrupted one stood, or says why it can't."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from mmengine.dist import all_gather_object, get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch.utils.data import BatchSampler, Sampler

from mixssl.registry import HOOKS
from mixssl.utils.checkpoints import mismatch, state_dict_of
from mixssl.utils.distributed import total_batch, unwrap
from mixssl.utils.errors import ConfigError
from mixssl.utils.random_state import random_state, set_random_state

KEY = "exact_resume"
"""Where a checkpoint holds what this hook adds."""


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Adds to mmengine's resuming what it lacks: a check, the place in the epoch, and the random states.

    * A checkpoint whose weights don't match the model by name and shape stops the run before it starts; mmengine warns
      and trains on with whatever fitted.
    * From a checkpoint written inside an epoch, the batches already trained on are skipped (as indices, nothing is
      loaded), so that iteration, epoch and schedules stay together; mmengine would start the epoch again. The rest of
      that epoch counts its log lines from 1.
    * Seed of the sampler, and states of Python's, NumPy's and torch's global generators, per rank. With
      ``num_workers=0`` the resumed run is then the uninterrupted one, bit by bit. Data workers begin their
      augmentations anew, as they do in mmengine: order of images, weights and schedules are exact, crops differ. Views
      made on the device (``data_preprocessor.views``) are exact with any number of workers.

    Raises:
        ConfigError: On resume, if the checkpoint does not match the model, or was written inside an epoch with another
            number of images per iteration.
    """

    def __init__(self) -> None:
        self._saved: dict[str, Any] | None = None
        self._whole_sampler: Sampler | Iterable[int] | None = None
        self._gathered: tuple[int, list[dict[str, Any]]] | None = None

    # -- writing -------------------------------------------------------------------------------------------------

    def after_train_epoch(self, runner: Runner) -> None:
        """Gives the loader its sampler back, and collects random states for a checkpoint that may follow."""
        if self._whole_sampler is not None:
            runner.train_dataloader.batch_sampler.sampler = self._whole_sampler
            self._whole_sampler = None
        self.before_checkpoint(runner)

    def before_checkpoint(self, runner: Runner) -> None:
        """Collects the ranks' random states; called on all ranks, since only the main process writes."""
        if get_world_size() > 1:
            self._gathered = (runner.iter, all_gather_object(random_state()))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds random states and the shape of the epoch to a checkpoint."""
        states = None
        if get_world_size() == 1:
            states = [random_state()]
        elif self._gathered is not None and self._gathered[0] == runner.iter:
            states = self._gathered[1]
        loader = runner.train_dataloader
        checkpoint[KEY] = {
            "random_states": states,
            "sampler_seed": getattr(loader.sampler, "seed", None),
            "steps_per_epoch": len(loader),
            "total_batch": total_batch(loader),
        }

    # -- reading -------------------------------------------------------------------------------------------------

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Checks a checkpoint that is being resumed from against the model, before anything is loaded into it."""
        if not runner._resume:
            return
        _check_weights(runner, checkpoint)
        self._saved = checkpoint.get(KEY) or {}

    def before_train_epoch(self, runner: Runner) -> None:
        """Puts the first epoch after a resume where the interrupted run stood."""
        if self._saved is None:
            return
        saved, self._saved = self._saved, None
        loader = runner.train_dataloader
        if saved.get("sampler_seed") is not None and hasattr(loader.sampler, "seed"):
            loader.sampler.seed = saved["sampler_seed"]
        state = _state_of_rank(runner, saved.get("random_states"))
        done = 0
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            done = runner.iter - runner.epoch * len(loader)
        if done == 0:
            if state is not None:
                set_random_state(state)
            return
        self._skip(runner, done, saved, state)

    def _skip(self, runner: Runner, done: int, saved: dict, state: dict | None) -> None:
        """Lets the loader leave out the epoch's first ``done`` batches, once."""
        loader = runner.train_dataloader
        here = {"steps_per_epoch": len(loader), "total_batch": total_batch(loader)}
        steps, batch = (saved.get(name, value) for name, value in here.items())
        if [steps, batch] != list(here.values()) or not 0 < done <= len(loader):
            raise ConfigError(
                f"the checkpoint to resume from was written at iteration {runner.iter}, inside an epoch of {steps} "
                f"iterations of {batch} images, and this run has {len(loader)} of {total_batch(loader)}: take the "
                "same data, batch_size and number of processes, or a checkpoint from the end of an epoch"
            )
        if type(loader.batch_sampler) is not BatchSampler:
            raise ConfigError(
                "the checkpoint to resume from was written inside an epoch, which can't be continued with a "
                f"{type(loader.batch_sampler).__name__}: resume from a checkpoint at the end of an epoch, or leave "
                "train_dataloader.batch_sampler out"
            )
        batches = loader.batch_sampler
        self._whole_sampler = batches.sampler
        batches.sampler = _Rest(batches.sampler, done * batches.batch_size, state)
        runner.logger.info(
            f"Continuing epoch {runner.epoch + 1} after {done} of its {len(loader)} iterations."
        )


class _Rest(Sampler):
    """A sampler without its first indices, which restores random states as it is asked for the first one left.

    That is the one moment after the loader has drawn its workers' seed and before anything is loaded.
    """

    def __init__(
        self, sampler: Sampler | Iterable[int], skip: int, state: dict[str, Any] | None
    ) -> None:
        self._sampler, self._first, self._state = sampler, skip, state

    def __iter__(self) -> Iterator[int]:
        rest = list(islice(self._sampler, self._first, None))
        if self._state is not None:
            set_random_state(self._state)
        return iter(rest)

    def __len__(self) -> int:
        """As without skipping: an epoch keeps its length."""
        return len(self._sampler)  # type: ignore[arg-type]


def _state_of_rank(runner: Runner, states: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    """This rank's part of the saved random states, or None with a word why."""
    if states is not None and len(states) == get_world_size():
        return states[get_rank()]
    runner.logger.info(
        "The checkpoint has no random states of these processes: augmentations are drawn anew."
    )
    return None


def _check_weights(runner: Runner, found: dict[str, Any]) -> None:
    """Raises unless a checkpoint's weights have the model's names and shapes."""
    listed = mismatch(unwrap(runner.model).state_dict(), state_dict_of(found))
    if listed:
        raise ConfigError(
            f"the checkpoint to resume from does not match the model: {listed}. Resume with the config it was trained "
            "with, or start anew from its weights with --cfg-options load_from=PATH instead of --resume"
        )
