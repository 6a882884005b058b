"""A vision transformer whose fixed positions are where they belong."""

from __future__ import annotations

from typing import Any

from mmpretrain.models import MoCoV3ViT as _MoCoV3ViT
from mmpretrain.models.utils import build_2d_sincos_position_embedding

from mixssl.registry import MODELS

__all__ = ["MoCoV3ViT"]


@MODELS.register_module()
class MoCoV3ViT(_MoCoV3ViT):
    """mmpretrain's ViT of MoCo v3 (Chen, Xie, He 2021), with two faults of its fixed positions put right.

    mmpretrain writes them in ``init_weights`` alone: a model built without it has positions of zero, and learns them.
    And it counts places column by column, as the authors do, where tokens run row by row: on square images that swaps
    the two axes, which nothing notices; on others places are wrong. Here they are written when the model is built, and
    follow the tokens. On square images they are mmpretrain's, bit by bit, so checkpoints mean the same.

    Args:
        *args: Of mmpretrain's MoCoV3ViT: ``arch``, ``img_size``, ``patch_size``, ``stop_grad_conv1``, ...
        **kwargs: The same.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._write_positions()

    def init_weights(self) -> None:
        """As the parent, with the positions of this class; loaded weights bring their own."""
        super().init_weights()
        if not (isinstance(self.init_cfg, dict) and self.init_cfg.get("type") == "Pretrained"):
            self._write_positions()

    def _write_positions(self) -> None:
        rows, columns = self.patch_resolution
        # The function counts its second number fastest but one: what it calls columns are the tokens' rows.
        positions = build_2d_sincos_position_embedding(
            patches_resolution=(columns, rows), embed_dims=self.embed_dims, cls_token=True
        )
        self.pos_embed.data.copy_(positions)
        self.pos_embed.requires_grad = False
