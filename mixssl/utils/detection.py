"""Detection is an extra: it needs mmdet, and nothing else in mixssl does."""

import importlib

from mixssl.utils.errors import ConfigError

WAY_OUT = (
    "run make det, or in an environment of your own pip install 'onedl-mmdetection>=3.5.1,<3.6'"
)


def missing_for_detection() -> str | None:
    """Names what detection lacks in this environment, found by importing it.

    Returns:
        A line that names the missing part and the command that adds it; None if everything is there.
    """
    for module, name in (
        ("pycocotools.mask", "pycocotools"),
        ("mmdet", "mmdet (onedl-mmdetection)"),
        ("mmdet.models", "all that mmdet (onedl-mmdetection) imports"),
        ("mmdet.datasets", "all that the data sets of mmdet (onedl-mmdetection) import"),
    ):
        try:
            importlib.import_module(module)
        except Exception as error:  # whatever it is, the module is of no use
            reason = str(error).partition("\n")[0]
            return f"detection needs {name}, which can't be imported here ({reason}): {WAY_OUT}"
    return None


def require_detection() -> None:
    """Raises where detection can't run.

    Raises:
        ConfigError: With the line of :func:`missing_for_detection`.
    """
    missing = missing_for_detection()
    if missing is not None:
        raise ConfigError(missing)
