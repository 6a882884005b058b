# RegionCL on MoCo v2, ResNet-50, ImageNet, 200 epochs, 8 devices of 128 images. All else is MoCo v2's.
# Their repository, linear evaluation, top-1: 69.4.
_base_ = ['../_base_/mmpretrain/mocov2_r50_in1k.py']

train_dataloader = dict(batch_size=128)
optim_wrapper = dict(optimizer=dict(lr=0.15))
auto_scale_lr = dict(base_batch_size=1024)

data_preprocessor = dict(mixer=dict(type='mixssl.RegionCL', stride=32, cells=(3, 5)))
model = dict(mix_head=dict(type='mixssl.RegionCLHead'))
