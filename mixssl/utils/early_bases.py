"""Lets programs that never import mixssl inherit ``mixssl::...`` configs: mmpretrain's train.py, mim, a notebook.

mmengine has no place where a package could announce its configs. setup.py therefore installs a copy of this file
beside the package, as ``_mixssl_bases``, and a ``.pth`` file by which each start of Python calls
:func:`wait_for_mmengine`. That imports nothing, neither torch nor mmengine nor mixssl: it waits until a program imports
mmengine's configs, if it ever does. When a config then names one of ours, mixssl is imported and its own lookup
(:mod:`mixssl.utils.config_lookup`) takes over.

The copy can use nothing of the package, and each start of Python pays for what it imports.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

CONFIGS = "mmengine.config.config"


def wait_for_mmengine() -> None:
    """Has mmengine's ``Config`` extended as soon as it is imported. Repeating it is harmless."""
    waits = any(type(finder).__name__ == _Waiting.__name__ for finder in sys.meta_path)
    if not waits and CONFIGS not in sys.modules:
        sys.meta_path.insert(0, _Waiting())


class _Waiting:
    """Finds one module, by asking the other finders, and then leaves ``sys.meta_path``."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != CONFIGS:
            return None
        sys.meta_path.remove(self)
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_extend(module: ModuleType) -> None:
                execute(module)
                _extend(module.Config)

            spec.loader.exec_module = execute_and_extend  # type: ignore[method-assign]
        return spec


def _extend(config: Any) -> None:
    """Has the first config that inherits one of ours import mixssl."""
    known = sys.modules["mmengine.config.utils"].MODULE2PACKAGE  # what mmengine.hub looks into
    known.setdefault("mixssl", "mixssl")
    inherited, read_bases = config._get_cfg_path, config._get_base_modules

    def get_cfg_path(cfg_path: str, filename: str) -> Any:
        if not cfg_path.startswith("mixssl::"):
            return inherited(cfg_path, filename)
        import mixssl  # noqa: F401  (puts its own lookup in this function's place)

        return config._get_cfg_path(cfg_path, filename)

    def get_base_modules(nodes: list[Any]) -> list[str]:
        names: list[str] = read_bases(nodes)
        if any(name.startswith("mixssl.configs.") for name in names):
            import mixssl  # noqa: F401
        return names

    config._get_cfg_path = staticmethod(get_cfg_path)
    config._get_base_modules = staticmethod(get_base_modules)
