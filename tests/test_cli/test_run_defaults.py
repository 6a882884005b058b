"""What a run has that its config does not name."""

from __future__ import annotations

from typing import Any

import pytest

from mixssl.cli.run_defaults import DEFAULT_HOOKS, fill_hooks
from mixssl.engine.hooks import ProgressHook
from mixssl.utils.errors import ConfigError

ALL = {name: {"type": kind} for name, kind in DEFAULT_HOOKS.items()}
STOP = {"type": "mixssl.GracefulStopHook", "interval": 2}


def _without(*names: str) -> dict[str, Any]:
    return {name: hook for name, hook in ALL.items() if name not in names}


@pytest.mark.parametrize(
    ("default", "custom", "filled"),
    [
        (None, None, (ALL, [])),
        ({"timer": None}, [], ({"timer": None, **ALL}, [])),
        ({"graceful_stop": STOP}, None, ({**ALL, "graceful_stop": STOP}, [])),
        (None, [STOP], (_without("graceful_stop"), [STOP])),
        (None, [{"type": "EMAHook"}], (ALL, [{"type": "EMAHook"}])),
        ({"graceful_stop": None}, [STOP], (_without("graceful_stop"), [])),
        ({"runtime_info": None}, None, ({**ALL, "runtime_info": None}, [])),
        ({"graceful_stop": {"interval": 2}}, None, ({**ALL, "graceful_stop": STOP}, [])),
        (
            {"graceful_stop": {"interval": 3}},
            [STOP, {"type": "EMAHook"}],
            ({**ALL, "graceful_stop": STOP | {"interval": 3}}, [{"type": "EMAHook"}]),
        ),
    ],
)
def test_hooks_that_a_config_leaves_open_are_filled_in(
    default: dict | None, custom: list | None, filled: tuple[dict, list]
) -> None:
    assert fill_hooks(default, custom) == filled


@pytest.mark.parametrize(
    ("default", "custom", "said"),
    [
        ({"graceful_stop": STOP}, [STOP], "GracefulStopHook stands in custom_hooks.*take it out"),
        ({"progres": {"interval": 2}}, None, "has no type.*did you mean 'progress'"),
    ],
)
def test_hooks_that_stand_twice_or_have_no_type_are_refused(
    default: dict, custom: list | None, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as refusal:
        fill_hooks(default, custom)
    assert "\n" not in str(refusal.value)


def test_a_hook_that_is_built_counts_too() -> None:
    hook = ProgressHook()
    assert fill_hooks(None, [hook]) == (_without("progress"), [hook])
