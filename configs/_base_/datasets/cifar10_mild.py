# The former name of cifar10_wmse.py.
import warnings

_base_ = ['./cifar10_wmse.py']

warnings.warn('cifar10_mild.py is called cifar10_wmse.py now: name that one', FutureWarning, stacklevel=2)
