# ResNet-50 from DINOv2's ViT-B, on mixtures that both see. No figure is known for it.
_base_ = ['../_base_/distill_in1k.py']

model = dict(
    backbone=dict(type='ResNet', depth=50, norm_cfg=dict(type='SyncBN')),
    neck=dict(type='mixssl.DistillNeck', in_channels=2048, out_channels=768))
