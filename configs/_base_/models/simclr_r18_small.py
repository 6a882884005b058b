# SimCLR for 32-pixel images as the code of W-MSE's authors has it: batch normalisation on the embedding, temperature
# 0.5. That code encodes the views apart; mmpretrain, and so mixssl, as one batch.
_base_ = ['./encoder_r18_small.py']

model = dict(
    type='mixssl.MixSimCLR',
    neck=dict(with_last_bn=True, with_last_bias=False),
    head=dict(
        type='ContrastiveHead',
        loss=dict(type='CrossEntropyLoss'),
        temperature=0.5))
