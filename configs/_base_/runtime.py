# The hooks of runtime_hooks.py for any config that inherits mmpretrain's: one more base and no further line, therefore
# as a list. tools/train.py adds them to configs that lack them; a runner of your own needs this base.
_base_ = ['./runtime_hooks.py']

custom_hooks = [*_base_.runtime_hooks.values()]
