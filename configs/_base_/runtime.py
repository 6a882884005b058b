# What every run of mixssl has beside the runtime of mmpretrain. tools/train.py adds it to configs that lack it; a
# runner of your own needs this base. Sets `custom_hooks` alone, so that it goes together with bases that inherit
# mmpretrain's runtime; default_runtime.py is the whole runtime for configs that don't.
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
custom_hooks = [
    dict(type='mixssl.RunCheckHook'),
    dict(type='mixssl.WholeCheckpointHook'),
    dict(type='mixssl.StopOnNonFiniteLossHook', interval=50),
    dict(type='mixssl.ExactResumeHook'),
    dict(type='mixssl.GracefulStopHook'),
    dict(type='mixssl.ProgressHook'),
]
