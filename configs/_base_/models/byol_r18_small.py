# BYOL for 32-pixel images as the code of W-MSE's authors has it: the predictor is another projector.
_base_ = ['./encoder_r18_small.py']

model = dict(
    type='mixssl.MixBYOL',
    base_momentum=0.01,  # weight of the new value at the start: that code's momentum goes from 0.99 to 1
    head=dict(
        type='LatentPredictHead',
        # The method doubles it to 2 - 2 cos, the squared distance of normalised vectors.
        loss=dict(type='CosineSimilarityLoss', shift_factor=1.0),
        predictor=dict(_base_.model.neck, in_channels=64, with_avg_pool=False)))
