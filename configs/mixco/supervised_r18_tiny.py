# A ResNet-18 trained with labels, which MixCo's table has beside its pre-trained ones, Tiny ImageNet at 224 pixels, 100
# epochs, 2 devices of 64 images. Of it the paper says that all else is as in pre-training (§4.1): its optimizer and
# schedule are taken, and the crops of linear evaluation. The authors' code can train this (lincls.py --supervised), but
# no script of theirs says with which settings.
# Top-1. Paper (MixCo, Table 1): 63.96.
_base_ = [
    '../_base_/models/finetune_r18.py',
    '../_base_/datasets/tiny_imagenet_224px_labels.py',
    '../_base_/schedules/sgd_cos_100e.py',
    '../_base_/default_runtime.py',
]

model = dict(init_cfg=None, head=dict(num_classes=200))  # from random weights
train_dataloader = dict(batch_size=64)
train_cfg = dict(val_interval=1)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
