# The hooks that every run of mixssl has, by the names under which `default_hooks` holds them. default_runtime.py has
# them beside mmengine's own; a config that inherits a whole recipe of mmpretrain's adds
# default_hooks = _base_.runtime_hooks, since two bases may not both set `default_hooks`.
runtime_hooks = dict(
    run_check=dict(type='mixssl.RunCheckHook'),
    whole_checkpoint=dict(type='mixssl.WholeCheckpointHook'),
    stop_on_non_finite_loss=dict(type='mixssl.StopOnNonFiniteLossHook', interval=50),
    exact_resume=dict(type='mixssl.ExactResumeHook'),
    graceful_stop=dict(type='mixssl.GracefulStopHook'),
    progress=dict(type='mixssl.ProgressHook'))
