"""Whitening as a schoolbook would compute it."""

from __future__ import annotations

import torch
from torch import Tensor


def naive_whiten(x: Tensor, eps: float = 0.0) -> Tensor:
    """Mean, covariance, Cholesky factor and forward substitution, number by number."""
    n, d = x.shape
    x = x.double()
    mean = [sum(x[r, c] for r in range(n)) / n for c in range(d)]
    cov = [
        [
            sum((x[r, a] - mean[a]) * (x[r, b] - mean[b]) for r in range(n)) / (n - 1)
            for b in range(d)
        ]
        for a in range(d)
    ]
    cov = [[(1 - eps) * cov[a][b] + eps * (a == b) for b in range(d)] for a in range(d)]
    low = [[torch.tensor(0.0).double()] * d for _ in range(d)]
    for a in range(d):
        for b in range(a + 1):
            rest = cov[a][b] - sum(low[a][k] * low[b][k] for k in range(b))
            low[a][b] = rest.sqrt() if a == b else rest / low[b][b]
    out = []
    for r in range(n):
        z: list[Tensor] = []
        for a in range(d):
            z.append((x[r, a] - mean[a] - sum(low[a][k] * z[k] for k in range(a))) / low[a][a])
        out.append(torch.stack(z))
    return torch.stack(out)
