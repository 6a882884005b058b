# What every detector shares: mmdet's scope and pictures, iterations in place of epochs, precise BN.
_base_ = ['../default_runtime.py']

default_scope = 'mmdet'
custom_imports = dict(imports=['mixssl'])  # before mmdet, for which it provides mmcv's operators

default_hooks = dict(
    checkpoint=dict(by_epoch=False, interval=2000, max_keep_ckpts=3),
    visualization=dict(_delete_=True, type='DetVisualizationHook'),
    precise_bn=dict(type='mixssl.PreciseBNHook', num_iters=200))

visualizer = dict(type='DetLocalVisualizer', name='visualizer')
log_processor = dict(type='LogProcessor', window_size=50, by_epoch=False)
