# ResNet-18 from DINOv2's ViT-B, on mixtures that both see. No figure is known for it.
_base_ = ['../_base_/distill_in1k.py']

model = dict(
    backbone=dict(type='ResNet', depth=18, norm_cfg=dict(type='SyncBN')),
    neck=dict(type='mixssl.DistillNeck', in_channels=512, out_channels=768))
