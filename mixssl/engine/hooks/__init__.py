"""Hooks that run beside training."""

from mixssl.engine.hooks.clip_each_gradient_hook import ClipEachGradientHook
from mixssl.engine.hooks.dino_collapse_hook import DINOCollapseHook
from mixssl.engine.hooks.exact_resume_hook import ExactResumeHook
from mixssl.engine.hooks.graceful_stop_hook import GracefulStopHook
from mixssl.engine.hooks.interval_runtime_info_hook import IntervalRuntimeInfoHook
from mixssl.engine.hooks.knn_monitor_hook import KNNMonitorHook
from mixssl.engine.hooks.label_free_monitor_hook import LabelFreeMonitorHook
from mixssl.engine.hooks.linear_probe_hook import LinearProbeHook
from mixssl.engine.hooks.median_hook import MedianHook
from mixssl.engine.hooks.mixture_grid_hook import MixtureGridHook
from mixssl.engine.hooks.odc_hook import ODCHook
from mixssl.engine.hooks.precise_bn_hook import PreciseBNHook
from mixssl.engine.hooks.progress_hook import ProgressHook
from mixssl.engine.hooks.run_check_hook import RunCheckHook
from mixssl.engine.hooks.stop_on_non_finite_loss_hook import StopOnNonFiniteLossHook
from mixssl.engine.hooks.whole_checkpoint_hook import WholeCheckpointHook

__all__ = [
    "ClipEachGradientHook",
    "DINOCollapseHook",
    "ExactResumeHook",
    "GracefulStopHook",
    "IntervalRuntimeInfoHook",
    "KNNMonitorHook",
    "LabelFreeMonitorHook",
    "LinearProbeHook",
    "MedianHook",
    "MixtureGridHook",
    "ODCHook",
    "PreciseBNHook",
    "ProgressHook",
    "RunCheckHook",
    "StopOnNonFiniteLossHook",
    "WholeCheckpointHook",
]
