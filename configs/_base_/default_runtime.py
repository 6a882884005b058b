# The runtime, whole. Hooks go by name: a child adds one to `default_hooks` under a name of its own, and the command
# line reaches it by that name, as in default_hooks.knn.interval=5.
#
# Figures also go to TensorBoard, W&B or MLflow where a config names mmengine's backend for it:
#   visualizer = dict(vis_backends=[
#       dict(type='LocalVisBackend'),
#       dict(type='TensorboardVisBackend'),
#       dict(type='WandbVisBackend', init_kwargs=dict(project='mixssl')),
#       dict(type='MLflowVisBackend', exp_name='mixssl'),
#   ])
# or the command line, by one key:
#   --cfg-options "visualizer.vis_backends=[{'type': 'LocalVisBackend'}, {'type': 'TensorboardVisBackend'}]"
default_scope = 'mmpretrain'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='CheckpointHook', interval=10, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    visualization=dict(type='VisualizationHook', enable=False),
    run_check=dict(type='mixssl.RunCheckHook'),
    whole_checkpoint=dict(type='mixssl.WholeCheckpointHook'),
    stop_on_non_finite_loss=dict(type='mixssl.StopOnNonFiniteLossHook', interval=50),
    exact_resume=dict(type='mixssl.ExactResumeHook'),
    graceful_stop=dict(type='mixssl.GracefulStopHook'),
    progress=dict(type='mixssl.ProgressHook'),
)

env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)

vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)

log_level = 'INFO'
load_from = None
resume = False
randomness = dict(seed=None, deterministic=False)
