"""Registries of mixssl: children of mmengine's, so that ``type='mixssl.X'`` in any config finds X.

``locations`` are imported by mmengine the first time a registry is asked, hence no ``custom_imports`` is needed.
"""

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import LOOPS as ROOT_LOOPS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import OPTIM_WRAPPERS as ROOT_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as ROOT_OPTIMIZERS
from mmengine.registry import TASK_UTILS as ROOT_TASK_UTILS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import VISUALIZERS as ROOT_VISUALIZERS
from mmengine.registry import WEIGHT_INITIALIZERS as ROOT_WEIGHT_INITIALIZERS
from mmengine.registry import Registry

MODELS = Registry("model", parent=ROOT_MODELS, scope="mixssl", locations=["mixssl.models"])
"""Methods, heads, necks, data preprocessors, norm layers."""

MIXERS = Registry("mixer", parent=ROOT_TASK_UTILS, scope="mixssl", locations=["mixssl.mixing"])
"""What turns views into mixtures; a child of the task utilities, mmengine's registry for helpers."""

AUGMENTATIONS = Registry("augmentation", scope="mixssl", locations=["mixssl.augmentation"])
"""Device forms of per-image transforms, under the transforms' names; no child of ``TRANSFORMS``, where those live."""

DATASETS = Registry("dataset", parent=ROOT_DATASETS, scope="mixssl", locations=["mixssl.datasets"])
TRANSFORMS = Registry(
    "transform", parent=ROOT_TRANSFORMS, scope="mixssl", locations=["mixssl.datasets"]
)
HOOKS = Registry("hook", parent=ROOT_HOOKS, scope="mixssl", locations=["mixssl.engine"])
OPTIMIZERS = Registry(
    "optimizer", parent=ROOT_OPTIMIZERS, scope="mixssl", locations=["mixssl.engine"]
)
OPTIM_WRAPPERS = Registry(
    "optimizer wrapper", parent=ROOT_OPTIM_WRAPPERS, scope="mixssl", locations=["mixssl.engine"]
)
LOOPS = Registry("loop", parent=ROOT_LOOPS, scope="mixssl", locations=["mixssl.engine"])
METRICS = Registry("metric", parent=ROOT_METRICS, scope="mixssl", locations=["mixssl.evaluation"])
VISUALIZERS = Registry(
    "visualizer", parent=ROOT_VISUALIZERS, scope="mixssl", locations=["mixssl.visualization"]
)
WEIGHT_INITIALIZERS = Registry(
    "weight initializer",
    parent=ROOT_WEIGHT_INITIALIZERS,
    scope="mixssl",
    locations=["mixssl.models"],
)
