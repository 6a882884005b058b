"""Makes ``import mmcv._ext`` work: mmcv's compiled operators where they are of use, torchvision's where not.

mmcv keeps its operators in a C++ module that has to be compiled for each torch. Those that detectors here need are in
:mod:`mixssl.utils.mmcv_ops` too. Torch and mmcv are imported only when somebody asks for the operators.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from warnings import warn

NAME = "mmcv._ext"


def provide_operators() -> None:
    """Lets ``mmcv._ext`` be found, compiled or not. Repeating it is harmless.

    Comes before anything of mmdet's models is imported: they look for the operators once.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder, Loader):
    """Finds ``mmcv._ext``; asked before all others, since a compiled module that does not load is replaced too."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname == NAME else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return _compiled()

    def exec_module(self, module: ModuleType) -> None:
        if not hasattr(module, "nms"):  # an empty one, made as there are no compiled operators
            from mixssl.utils import mmcv_ops

            vars(module).update({name: getattr(mmcv_ops, name) for name in mmcv_ops.__all__})
            vars(module)["__getattr__"] = mmcv_ops.missing


def _compiled() -> ModuleType | None:
    """What mmcv has compiled; None where there are none or, with a warning, where they are of no use."""
    import mmcv
    import torch

    spec = PathFinder.find_spec(NAME, mmcv.__path__)
    if spec is None or spec.loader is None:
        return None
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:  # of another torch, most often
        reason = f"can't be loaded ({str(error).partition(chr(10))[0]})"
    else:
        if not torch.cuda.is_available() or module.get_compiling_cuda_version() != "not available":
            return module
        reason = "are compiled for the CPU alone, and this machine has a GPU"
    warn(f"mmcv's operators {reason}: torchvision's are taken in their place", stacklevel=2)
    return None
