"""The choice between two: is a mixture more like the one image or the other?"""

from torch import Tensor
from torch.nn import functional as F


def two_way_cross_entropy(own: Tensor, other: Tensor, lam: Tensor) -> Tensor:
    r"""Soft cross-entropy of the two logits that belong to a mixture, whatever else there is to be told apart from.

    .. math:: -\lambda \log \sigma(a - b) - (1 - \lambda) \log \sigma(b - a)

    (AMix, eq. 6 and its parametric twin pBCE). As printed eq. 6 has neither exponential, logarithm, sign nor
    temperature; this is the binary cross-entropy that its name and its use ask for. Its minimum is where
    :math:`\sigma(a - b) = \lambda`.

    Args:
        own: Logits of the own image or class, (M,), divided by the temperature, floating point.
        other: Likewise of the partner's, (M,).
        lam: Share of the own image, (M,), in [0, 1].

    Returns:
        The loss of each row, (M,), >= 0.
    """
    return F.softplus(other - own) + (1 - lam) * (own - other)
