# W-MSE for 32-pixel images as its authors' code has it: the embedding is whitened in groups of 128, once per step.
_base_ = ['./encoder_r18_small.py']

model = dict(
    type='mixssl.MixWMSE',
    w_size=128,
    w_iter=1,
    eps=0.0)  # 1e-4 if a covariance should turn out singular
