"""Says in words that DINO has stopped learning."""

import math
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mixssl.registry import HOOKS
from mixssl.utils.distributed import unwrap


@HOOKS.register_module()
class DINOCollapseHook(Hook):
    """Warns after an epoch whose clean loss stands at one of DINO's two ends, and says what to change.

    Reads the loss that mmengine has noted anyway, and goes on training: early epochs may pass through the first end.
    """

    def after_train_epoch(self, runner: Runner) -> None:
        """Looks at the epoch's mean."""
        scalars = runner.message_hub.log_scalars
        if "train/loss_clean" not in scalars:
            return
        loss = float(scalars["train/loss_clean"].mean(len(runner.train_dataloader)))
        model: Any = unwrap(runner.model)
        said = collapse(loss, model.center.shape[1])
        if said is not None:
            runner.logger.warning("epoch %d: %s", runner.epoch + 1, said)


def collapse(loss: float, prototypes: int) -> str | None:
    """What a clean loss of DINO says is wrong, in a line; None where nothing is.

    Args:
        loss: Mean over an epoch.
        prototypes: Their number.
    """
    even = math.log(prototypes)
    if abs(loss - even) < 0.005 * even:
        return (
            f"the loss is {loss:.3f}, the logarithm of {prototypes} prototypes: the teacher assigns every image to all "
            "of them alike; lower teacher_temperature to 0.02, take fewer prototypes, or set base_momentum=0.01"
        )
    if loss < 0.01:
        return (
            f"the loss is {loss:.4f}: the teacher assigns all images to one prototype; set center_momentum=0.9, or "
            "raise teacher_temperature"
        )
    return None
