"""Keeps from the terminal what packages below say at every start, and what nobody who reads it can act on."""

import functools
import warnings
from collections.abc import Callable
from typing import Any

import mmengine.fileio.file_client
import mmengine.logging

PRINTED = (
    "Could not import OneDL",  # mmpretrain and mmdet, of data sets behind an account of their makers
    '"FileClient" will be deprecated',  # mmengine, of what its own CheckpointHook does
    '"HardDiskBackend" is the alias',  # the same
)
WARNED = "faster_coco_eval is not installed"  # mmdet, of a metric that no config here asks for


def silence_known_noise() -> None:
    """Has mmengine's ``print_log`` drop a few known lines, for whoever imports it from now on."""
    for module in (mmengine.logging, mmengine.fileio.file_client):
        module.print_log = _without_noise(module.print_log)
    warnings.filterwarnings("ignore", message=WARNED)


def _without_noise(print_log: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(print_log)
    def printed(msg: Any, *args: Any, **kwargs: Any) -> None:
        if not str(msg).startswith(PRINTED):
            print_log(msg, *args, **kwargs)

    return printed
