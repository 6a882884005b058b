"""Errors that a person at a terminal can act on; the tools print their one line without a traceback."""

from collections.abc import Iterable


class ConfigError(ValueError):
    """Something in the config, the arguments or the files named there can't work. The line says what to change."""


class NonFiniteLossError(ArithmeticError):
    """A loss has become NaN or infinite. The line says where, and where the last good checkpoint lies."""


def require_at_least(minimum: float, before: str, **settings: float | None) -> None:
    """Checks numbers that a person has chosen.

    Args:
        minimum: Allowed itself.
        before: What stands before a name in the message: whose settings they are, as in ``"ODCHook: "``.
        **settings: The numbers by name; None is for what was not given.

    Raises:
        ConfigError: At the first one below the minimum.
    """
    for name, value in settings.items():
        if value is not None and value < minimum:
            raise ConfigError(f"{before}{name} is {value} and must be at least {minimum}")


def require(allowed: str, owner: object, usual: str = "", **settings: float | None) -> None:
    """Checks arguments of a component that a config names.

    Args:
        allowed: The range, as the message says it: ``"> 0"``, ``">= 1"``, ``"[0, 1]"`` or ``"[0, 1)"``.
        owner: The component, whose class the message names.
        usual: What the message adds, such as usual values.
        **settings: The arguments by name; None is for what was not given.

    Raises:
        ConfigError: At the first one outside the range; NaN lies outside of all.
    """
    for name, value in settings.items():
        if value is not None and not _lies_in(value, allowed):
            must = "lie in" if "," in allowed else "be"
            advice = f"; {usual}" if usual else ""
            raise ConfigError(
                f"{name} of {type(owner).__name__} is {value} and must {must} {allowed}{advice}"
            )


def _lies_in(value: float, allowed: str) -> bool:
    """Whether a value lies in a range that :func:`require` takes."""
    if allowed[0] == ">":
        sign, limit = allowed.split()
        return value > float(limit) or (sign == ">=" and value == float(limit))
    low, high = map(float, allowed[1:-1].split(", "))
    ends = (low, allowed[0] == "["), (high, allowed[-1] == "]")
    return low < value < high or any(value == end and closed for end, closed in ends)


def require_one_of(choices: Iterable[str], owner: object, **settings: str) -> None:
    """Checks words among which a component that a config names has a choice.

    Raises:
        ConfigError: At the first argument that is none of them.
    """
    known = list(choices)
    for name, value in settings.items():
        if value not in known:
            raise ConfigError(
                f"{name} of {type(owner).__name__} is {value!r} and must be one of {', '.join(known)}"
            )
