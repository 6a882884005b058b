# The former name of cifar100_wmse.py.
import warnings

_base_ = ['./cifar100_wmse.py']

warnings.warn('cifar100_mild.py is called cifar100_wmse.py now: name that one', FutureWarning, stacklevel=2)
