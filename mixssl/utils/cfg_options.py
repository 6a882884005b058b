"""``--cfg-options KEY=VALUE ...`` of all tools: how words become values, and values a part of a config."""

import argparse
import ast
from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any

from mmengine.config import Config, DictAction

from mixssl.utils.errors import ConfigError
from mixssl.utils.names import did_you_mean, known_keys, refuse_moved


class OptionsAction(argparse.Action):
    """mmengine's DictAction, which also takes Python's dicts, and says which word is no KEY=VALUE.

    Raises:
        ConfigError: A word without ``=``, or a value with brackets that don't pair up.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Adds the words to what has been given before."""
        found = dict(getattr(namespace, self.dest) or {})
        for word in [values] if isinstance(values, str) else values or []:
            key, equals, text = word.partition("=")
            if not (key and equals):
                raise ConfigError(
                    f"{option_string} got {word!r}, which is no KEY=VALUE: write for instance train_cfg.max_epochs=10, "
                    "without spaces around ="
                )
            found[key] = _value(key, text)
        setattr(namespace, self.dest, found)


def _value(key: str, text: str) -> Any:
    """A Python literal, where brackets or quotes say that it is one, or else what mmengine reads."""
    if text[:1] in tuple("[({'\""):
        try:
            return ast.literal_eval(text)
        except (SyntaxError, ValueError):
            pass
    try:
        return DictAction._parse_iterable(text)
    except AssertionError as error:
        raise ConfigError(f"{key} is {text!r}, in which brackets don't pair up") from error


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--cfg-options`` to a tool."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=OptionsAction,
        metavar="KEY=VALUE",
        help="change config entries: optim_wrapper.optimizer.lr=0.1, key='[1,2]', key=\"{'type':'X'}\"",
    )


def merge_options(cfg: Config, options: Mapping[str, Any] | None) -> None:
    """Writes options into a config.

    Args:
        cfg: Changed in place.
        options: Values by dotted key; None for none.

    Raises:
        ConfigError: A key that has moved, or whose first part neither the config has nor anything reads, or one that
            leads through a list or a value that can't be entered.
    """
    if not options:
        return
    refuse_moved({key.partition(".")[0]: value for key, value in options.items()})
    known = known_keys() | set(cfg)
    for key, value in options.items():
        first = key.partition(".")[0]
        if first not in known:
            raise ConfigError(
                f"{key}={value} would change nothing: the config has no {first}, and nothing reads it"
                f"{did_you_mean(first, known)}"
            )
    try:
        cfg.merge_from_dict(dict(options))  # all at once: _delete_ is about the keys beside it
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        said = shorten(str(error.args[0]), 100, placeholder=" ...")  # it may list half the config
        raise ConfigError(f"{', '.join(options)} does not fit the config: {said}") from error
