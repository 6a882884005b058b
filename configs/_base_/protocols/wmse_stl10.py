# STL-10 by the protocol of W-MSE's authors: 2000 epochs.
_base_ = [
    '../datasets/stl10.py',
    '../schedules/adam_step_2000e.py',
    '../monitored_5nn_64px.py',
]
