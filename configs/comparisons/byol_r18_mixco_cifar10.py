# MixCo's mixtures in place of Un-Mix's in unmix/byol_r18_cifar10.py, all else equal: no paper's recipe, a row of a
# comparison. MixCo's loss tells a mixture apart from other images, which BYOL does not do; here a mixture of half the
# batch with the other half, a λ for each pair, predicts both of its images, each with its share.
_base_ = ['../unmix/byol_r18_cifar10.py']

data_preprocessor = dict(mixer=dict(_delete_=True, type='mixssl.MixCo'))
model = dict(mix_head=dict(pairing='cross'))
