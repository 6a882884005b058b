"""No half-written checkpoint, ever."""

from __future__ import annotations

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner

from mixssl.engine.whole_files import WHOLE_FILES, is_local
from mixssl.registry import HOOKS

__all__ = ["WholeCheckpointHook"]


@HOOKS.register_module()
class WholeCheckpointHook(Hook):
    """Lets the run's CheckpointHook write to another name and rename, for local folders.

    mmengine writes straight to the final name: a kill or a full disk in the middle leaves a file that looks like a
    checkpoint. A CheckpointHook with its own ``backend_args`` is left alone.
    """

    def before_run(self, runner: Runner) -> None:
        """Gives each CheckpointHook the backend for whole files before it makes its own."""
        for hook in runner.hooks:
            if not isinstance(hook, CheckpointHook):
                continue
            chosen = hook.backend_args is not None or hook.file_client_args is not None
            if not chosen and is_local(hook.out_dir or runner.work_dir):
                hook.backend_args = {"backend": WHOLE_FILES}
