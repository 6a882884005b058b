"""Errors that a person at a terminal can act on; the tools print their one line without a traceback."""


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
