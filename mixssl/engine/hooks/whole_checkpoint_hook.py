"""No half-written checkpoint, ever, and no other run's."""

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mixssl.engine.atomic_writes import ATOMIC_WRITES, is_local
from mixssl.engine.work_dirs import hold, let_go
from mixssl.registry import HOOKS


@HOOKS.register_module()
class WholeCheckpointHook(Hook):
    """Lets the run's CheckpointHook write to another name and rename, for local folders.

    mmengine writes straight to the final name: a kill or a full disk in the middle leaves a file that looks like a
    checkpoint. A CheckpointHook with its own ``backend_args`` is left alone.

    Two runs in one folder would write over each other's checkpoints: the second one is refused.

    Raises:
        ConfigError: In training, if another process trains in the work directory.
    """

    def before_run(self, runner: Runner) -> None:
        """Gives each CheckpointHook the backend for whole files before it makes its own."""
        for hook in runner.hooks:
            if not isinstance(hook, CheckpointHook):
                continue
            chosen = hook.backend_args is not None or hook.file_client_args is not None
            if not chosen and is_local(hook.out_dir or runner.work_dir):
                hook.backend_args = {"backend": ATOMIC_WRITES}

    def before_train(self, runner: Runner) -> None:
        """Takes the work directory; a runner of ours has done so before it wrote its config there."""
        if is_main_process() and is_local(runner.work_dir):
            hold(runner.work_dir)

    def after_run(self, runner: Runner) -> None:
        """Gives the work directory back."""
        let_go(runner.work_dir)
