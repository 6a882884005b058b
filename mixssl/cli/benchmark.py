"""Training steps to be measured, what they are compared with, and the memory they need."""

import platform
import time
import weakref
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from mmpretrain.structures import DataSample
from mmpretrain.utils import register_all_modules
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mixssl.cli.without_mixture import without_mixture
from mixssl.utils.config_checks import preprocessor_of
from mixssl.utils.malloc import keep_freed_memory
from mixssl.utils.names import check_keys
from mixssl.version import __version__


def get_ready(threads: int | None = None) -> None:
    """Registers what configs name, silences the log, and lets steps be taken as tools/train.py would, but by no runner.

    Args:
        threads: Of the CPU; torch's default unless given.
    """
    if not torch.cuda.is_available():
        keep_freed_memory()
    register_all_modules(init_default_scope=False)
    DefaultScope.get_instance("mixssl", scope_name="mmpretrain")
    MMLogger.get_current_instance().setLevel("ERROR")
    # Cosine schedules of momentum encoders read the run's length from here.
    MessageHub.get_current_instance().update_info("max_iters", 100_000)
    if threads:
        torch.set_num_threads(threads)


def circumstances(device: torch.device) -> dict[str, Any]:
    """What belongs beside a figure: device, threads and versions."""
    on_gpu = device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else platform.processor() or "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "mixssl": __version__,
    }


class TrainStep:
    """A config's model and its optimizer, ready to take training steps; a memory of clusters is filled at random.

    Args:
        cfg: Whole config.
        device: To train on.
        synthetic: Whether it is fed with :func:`random_views`; the data preprocessor then makes none.
    """

    def __init__(self, cfg: Config, device: torch.device, synthetic: bool = True) -> None:
        torch.manual_seed(0)
        check_keys(cfg)
        cfg = Config(cfg.to_dict())
        model_cfg = cfg.model.copy()
        if "data_preprocessor" in cfg:
            model_cfg.setdefault("data_preprocessor", cfg.data_preprocessor)
        if synthetic:
            (model_cfg.get("data_preprocessor") or {}).pop("views", None)
        self.model = MODELS.build(model_cfg)
        self.model.init_weights()
        self.model.to(device).train()
        self.optimizer = Runner.build_optim_wrapper(_Bare(self.model), cfg.optim_wrapper)
        self.device = device
        memory = getattr(self.model, "clusters", None)
        if memory is not None:
            features = torch.randn(memory.features.shape)
            memory.start(features, torch.arange(len(features)) % memory.num_clusters)

    def take(self, data: dict[str, Any]) -> None:
        """Takes a step, without waiting for the device."""
        self.model.train_step(data, self.optimizer)

    def wait(self) -> None:
        """Waits until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, data: dict[str, Any]) -> float:
        """Takes a step and returns how long it took."""
        self.wait()
        start = time.perf_counter()
        self.take(data)
        self.wait()
        return time.perf_counter() - start

    def held(self) -> list[Tensor]:
        """What stays from step to step: parameters, buffers, and what the optimizer keeps."""
        kept = [
            leaf for leaf in tree_leaves(self.optimizer.state_dict()) if isinstance(leaf, Tensor)
        ]
        return [*self.model.parameters(), *self.model.buffers(), *kept]


class _Bare:
    """As much of a runner as building an optimizer takes."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.optim_wrapper = None


def random_views(batch: int, sizes: Sequence[int]) -> dict[str, Any]:
    """A batch of random uint8 views of these sides in pixels, as a loader would hand it over."""
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (batch, 3, size, size), generator=generator, dtype=torch.uint8)
        for size in sizes
    ]
    samples = [DataSample(metainfo={"sample_idx": place}) for place in range(batch)]
    return {"inputs": images, "data_samples": samples}


def view_sizes(cfg: Config, size: int) -> list[int]:
    """Sides of the views that a model needs: as many as the pipeline makes, and two for each further size."""
    further = [extra for extra in cfg.model.get("extra_sizes", ()) for _ in range(2)]
    count = next((s["num_views"] for s in training_steps(cfg) if "num_views" in s), 2)
    count = count if isinstance(count, int) else sum(count)
    return [size] * 2 + further if further else [size] * count


def image_size(cfg: Config) -> int:
    """Side of the images that the training pipeline makes, in pixels; 32 if it doesn't say."""
    crops = (step for step in training_steps(cfg) if "Crop" in str(step.get("type")))
    return next((int(crop["scale"]) for crop in crops if isinstance(crop.get("scale"), int)), 32)


def training_steps(node: Any) -> Iterator[dict]:
    """All dicts inside the training loader of a config, and inside the views that its data preprocessor makes."""
    if isinstance(node, Config):
        node = [node.get("train_dataloader"), preprocessor_of(node).get("views")]
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for child in node:
            yield from training_steps(child)


def as_mmpretrain(cfg: Config) -> tuple[Config, Config]:
    """A config without its mixture, as far as mmpretrain knows it: by our method, and by mmpretrain's.

    Args:
        cfg: Of a method that adapts one of mmpretrain's.

    Returns:
        The two configs, alike but for who runs them. What the method has beyond its parent is taken out, a symmetric
        loss for instance.
    """
    from mixssl.models.methods import MixtureMethod

    ours = without_mixture(cfg)
    kind = MODELS.get(ours.model.type)
    parent = next(base for base in kind.__mro__ if "mmpretrain" in base.__module__)
    own = {name for base in kind.__mro__ if base is not parent for name in _arguments(base)}
    if not issubclass(kind, MixtureMethod):
        raise ValueError(
            f"{ours.model.type} is no method of mixssl: name a config whose model is one"
        )
    for name in own - _arguments(parent):
        ours.model.pop(name, None)
    theirs = Config(ours.to_dict())
    theirs.model["type"] = f"mmpretrain.{parent.__name__}"
    for holder in (theirs, theirs.model):
        if "data_preprocessor" in holder:
            holder["data_preprocessor"]["type"] = "mmpretrain.SelfSupDataPreprocessor"
            holder["data_preprocessor"].pop("seed", None)
    return ours, theirs


def _arguments(kind: type) -> set[str]:
    """Names of the arguments of a class's own constructor."""
    code = getattr(kind.__dict__.get("__init__"), "__code__", None)
    return (
        set()
        if code is None
        else set(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])
    )


def peak_bytes(step: TrainStep, data: dict[str, Any]) -> int:
    """Most memory that a step needs at once: what is held from step to step, and what is allocated meanwhile.

    Args:
        step: Has taken one before, so that the optimizer holds what it keeps.
        data: A batch.

    Returns:
        On a GPU from its allocator. On a CPU from the memory of all tensors that operations return; what a library
        allocates within an operation is not seen.
    """
    held = _size(step.held())
    if step.device.type == "cuda":
        step.wait()
        before = torch.cuda.memory_allocated(step.device)
        torch.cuda.reset_peak_memory_stats(step.device)
        step.take(data)
        step.wait()
        return held + torch.cuda.max_memory_allocated(step.device) - before
    with _Allocated() as allocated:
        step.take(data)
    return held + allocated.peak


def _size(tensors: Iterable[Tensor]) -> int:
    """Bytes of all tensors; those that share memory are counted once."""
    return sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())


class _Allocated(TorchDispatchMode):
    """Follows the memory of what operations return, from when they return it until nobody holds it."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._live: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        # A view, or what was written in place, lies where an argument lies.
        given = {t.untyped_storage()._cdata for t in tree_leaves((args, kwargs)) if _is_tensor(t)}
        for tensor in filter(_is_tensor, tree_leaves(out)):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in given and key not in self._live:
                self._live[key] = storage.nbytes()
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._free, key)
        return out

    def _free(self, key: int) -> None:
        self.now -= self._live.pop(key)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)
