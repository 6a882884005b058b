"""Exceptions in one line: what a person can set right, told apart from what is a fault of ours.

Four kinds are a person's: a :class:`ConfigError`; what the operating system refuses, a full disk for instance; what a
class says when it is built from the config, a misspelled argument for instance; and what mixssl raises on purpose. All
else is a fault, and keeps its traceback.
"""

import errno
import inspect
import re
import traceback
from collections.abc import Iterator
from types import FrameType
from typing import Any

import torch
from mmengine.registry import Registry

from mixssl.utils.errors import ConfigError
from mixssl.utils.names import did_you_mean

OF_THE_SYSTEM = {
    errno.ENOSPC: "make room, or name a folder on another disk with --work-dir; files written before are whole",
    errno.EDQUOT: "make room, or name a folder on another disk with --work-dir; files written before are whole",
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.EROFS: "name a place that can be written to, with --work-dir",
    errno.EMFILE: "allow more open files with ulimit -n, or lower num_workers",
}
"""What to do about an error of the operating system."""
ADVICE = (
    (
        r"number of subfolders \(\d+\) doesn't match the number of specified classes",
        "for images of your own take dataset.type=CustomDataset, and with_label=False where they have no classes",
    ),
    (
        r"need at least one array to concatenate",
        "it holds no sample: look at its files, and whether its annotations have the classes of metainfo",
    ),
    (r"first argument must be callable", "the type of collate_fn names no function"),
)
"""What to do about messages of others that don't say so, by a pattern."""
WHILE_BUILDING = (
    AssertionError,
    ImportError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a class raises at arguments that it can't work with; other kinds are faults of its code."""
RESUMES = ("load_or_resume", "load_checkpoint")
"""Methods of a runner by which it reads a checkpoint."""
AT_MOST = 300
"""Characters of somebody else's message."""


def explain(error: BaseException) -> str | None:
    """What a person can do about an exception, in one line, or None where it is a fault of the program.

    Args:
        error: As it was caught, with its traceback; also one that a data worker has passed on.
    """
    said = _said(error)
    if isinstance(error, ConfigError):
        return said
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return (
            f"{said.partition('. ')[0]}: lower train_dataloader.batch_size, or take --amp bfloat16 or "
            "model.checkpoint_backbone=True"
        )
    if "EADDRINUSE" in said or getattr(error, "errno", None) == errno.EADDRINUSE:
        return (
            "the port by which the processes find each other is in use: name a free one, for instance with PORT=29501 "
            "before tools/dist_train.sh"
        )
    if isinstance(error, RuntimeError) and said.startswith("DataLoader worker (pid"):
        return (
            f"{said}: the machine ran out of memory, or of shared memory (/dev/shm): lower "
            "train_dataloader.num_workers or batch_size"
        )
    if isinstance(error, OSError) and not isinstance(error, ConnectionError):
        return _of_the_system(error, said)
    built = _innermost_build(error)
    if built is not None and isinstance(error, WHILE_BUILDING):
        return _of_a_class(error, said, built)
    if _raised_on_purpose(error):
        return said
    return None


def _said(error: BaseException) -> str:
    """An exception's message without line breaks, and without the traceback of the data worker that raised it."""
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    if "Original Traceback (most recent call last)" in text:
        text = text.rpartition(f"{type(error).__name__}: ")[2]
    return " ".join(text.split()) or type(error).__name__


def _of_the_system(error: OSError, said: str) -> str:
    """What could not be done, with what, and what to do about it."""
    what = f"{error.filename}: {error.strerror}" if error.filename and error.strerror else said
    advice = OF_THE_SYSTEM.get(error.errno or 0)
    return f"{what}: {advice}" if advice else what


def _raised_on_purpose(error: BaseException) -> bool:
    """Whether a line of mixssl raises it: such lines say what is wrong and what to do."""
    frames = traceback.extract_tb(error.__traceback__)
    return (
        isinstance(error, (TypeError, ValueError))
        and bool(frames)
        and (_module_of(error) or "").startswith("mixssl.")
        and (frames[-1].line or "").startswith("raise ")
    )


def _frames(error: BaseException) -> Iterator[FrameType]:
    """From where it was caught to where it was raised."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield frame


def _module_of(error: BaseException) -> str | None:
    """The module that raised it."""
    *_, last = _frames(error)
    return last.f_globals.get("__name__")


def _innermost_build(error: BaseException) -> FrameType | None:
    """The innermost call by which mmengine was building something from the config, or reading a checkpoint."""
    found = None
    for frame in _frames(error):
        module, name = str(frame.f_globals.get("__name__")), frame.f_code.co_name
        if module == "mmengine.registry.build_functions" or (
            module.startswith("mmengine.runner")
            and (name.startswith("build_") or name in RESUMES or name == "from_cfg")
        ):
            found = frame
    return found


def _of_a_class(error: BaseException, said: str, frame: FrameType) -> str:
    """What a class has against its arguments, with the nearest name where one is unknown."""
    made = frame.f_locals.get("obj_cls")
    given = frame.f_locals.get("args") or frame.f_locals.get("dataloader_cfg") or {}
    if "obj_type" in frame.f_locals and made is None and isinstance(error, KeyError):
        return _unknown_type(frame.f_locals["obj_type"], frame.f_locals.get("registry"))
    if frame.f_code.co_name == "build_dataloader":
        made = torch.utils.data.DataLoader
    name = getattr(made, "__name__", None)
    unknown = re.search(r"unexpected keyword argument '(\w+)'", said)
    if unknown and inspect.isclass(made):
        return f"{name} takes no {unknown[1]}{_instead(made, unknown[1])}"
    missing = re.search(r"missing \d+ required [\w-]+ arguments?: (.+)", said)
    if missing and inspect.isclass(made):
        known = _arguments(made)
        near = "".join(did_you_mean(key, known) for key in given if key not in known)
        return f"{name} needs {missing[1]}, which the config does not set{near}"
    for pattern, advice in ADVICE:
        if re.search(pattern, said):
            said = f"{said}: {advice}"
    said = said if len(said) <= AT_MOST else f"{said[:AT_MOST]} ..."
    return f"{name}: {said}" if name and name not in said else said


def _unknown_type(kind: str, registry: Any) -> str:
    """A type that nothing is registered under."""
    if not isinstance(registry, Registry):
        return f"type is {kind!r}, and nothing has that name"
    name = kind.rpartition(".")[2]
    return (
        f"type is {kind!r}, and no {registry.name} has that name"
        f"{did_you_mean(name, _registered(registry.root)) or ': write the package before it, as in mixssl.UnMix'}"
    )


def _registered(registry: Registry) -> set[str]:
    """Names in a registry and in those below it."""
    names = set(registry.module_dict)
    for child in registry.children.values():
        names |= _registered(child)
    return names


def _arguments(made: type) -> list[str]:
    """Names of a class's arguments, those of its parents among them."""
    found = {
        name: None
        for base in inspect.getmro(made)
        if "__init__" in vars(base)
        for name, argument in inspect.signature(vars(base)["__init__"]).parameters.items()
        if argument.kind not in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL) and name != "self"
    }
    return list(found)


def _instead(made: type, name: str) -> str:
    """The class of ours that has an argument, or the one that was meant, or all that there are."""
    known = _arguments(made)
    heirs = sorted(
        {
            f"mixssl.{heir.__name__}"
            for heir in _heirs(made)
            if heir.__module__.startswith("mixssl.") and name in _arguments(heir)
        }
    )
    if heirs:
        return f": take type={' or '.join(map(repr, heirs[:3]))}, which does"
    return did_you_mean(name, known) or f": it takes {', '.join(known)}"


def _heirs(made: type) -> Iterator[type]:
    """All classes derived from one."""
    children: list[type] = type.__subclasses__(made)
    for child in children:
        yield child
        yield from _heirs(child)
