# ViT-S/16 from DINOv2's ViT-B, on mixtures that both see. No figure is known for it.
_base_ = ['../_base_/distill_in1k.py']

model = dict(
    backbone=dict(
        type='VisionTransformer', arch='deit-small', img_size=224, patch_size=16, out_type='raw'),
    neck=dict(type='mixssl.DistillNeck', in_channels=384, out_channels=768))
optim_wrapper = dict(optimizer=dict(weight_decay=0.04))
