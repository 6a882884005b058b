# The hooks of default_runtime.py for a config that inherits a whole recipe of mmpretrain's, and with it mmpretrain's
# runtime: two bases may not both set `default_hooks`, so the child writes default_hooks = _base_.runtime_hooks.
runtime_hooks = dict(
    run_check=dict(type='mixssl.RunCheckHook'),
    whole_checkpoint=dict(type='mixssl.WholeCheckpointHook'),
    stop_on_non_finite_loss=dict(type='mixssl.StopOnNonFiniteLossHook', interval=50),
    exact_resume=dict(type='mixssl.ExactResumeHook'),
    graceful_stop=dict(type='mixssl.GracefulStopHook'),
    progress=dict(type='mixssl.ProgressHook'))
