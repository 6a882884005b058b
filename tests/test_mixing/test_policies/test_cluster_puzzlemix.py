"""PuzzleMix by a saliency that is given, and by nothing else of the model."""

from __future__ import annotations

import torch
from support.tiny import views
from torch import Tensor

from mixssl.mixing import ClusterPuzzleMix, PuzzleMix, center_surround


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_with_puzzlemixs_own_salience_it_is_puzzlemix() -> None:
    x, labels = views(8, 16), torch.zeros(8, dtype=torch.int64)
    for seed in range(4):
        (plain,) = PuzzleMix(blocks=(2, 4))(x, _generator(seed))
        (deferred,) = ClusterPuzzleMix(blocks=(2, 4))(x, _generator(seed))
        mixed = deferred.render(labels, center_surround)
        for one, two in zip(plain, mixed, strict=True):
            assert torch.equal(one, two) if isinstance(one, Tensor) else one == two


def test_what_is_salient_is_kept() -> None:
    """Without transport: where one image matters and the other does not, that one is shown."""
    images = 0.1 * views(8, 16)[0]
    matters = torch.zeros(8, 16, 16)
    matters[:4, :, :8] = 1.0
    matters[4:, :, 8:] = 1.0
    mixer = ClusterPuzzleMix(blocks=(2,), beta=0.0, eta=0.0, transport=False)
    for seed in range(4):
        (deferred,) = mixer([images], _generator(seed))
        mixed = deferred.render(torch.zeros(8, dtype=torch.int64), lambda given: matters)
        for row, partner in enumerate(mixed.partner.tolist()):
            if (row < 4) != (partner < 4):
                left, right = mixed.mask[row, 0, :, :8], mixed.mask[row, 0, :, 8:]
                assert (left == (1.0 if row < 4 else 0.0)).all() and (right == 1 - left).all()
