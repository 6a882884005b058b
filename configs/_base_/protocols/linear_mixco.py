# The same as MixCo has it: lr 3.
_base_ = ['./linear.py']

optim_wrapper = dict(optimizer=dict(lr=3.0))
