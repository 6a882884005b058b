# PatchMix's protocol for small images: 800 epochs of AdamW, 200 neighbours.
_base_ = ['../schedules/adamw_cos.py', '../default_runtime.py']

default_hooks = dict(
    checkpoint=dict(interval=50),
    # Weighted, on the output.
    knn=dict(
        type='mixssl.KNNMonitorHook', feature='projected', k=200, temperature=0.1, interval=5))
