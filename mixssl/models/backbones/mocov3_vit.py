"""A vision transformer whose fixed positions are where they belong, and that may leave out tokens."""

from typing import Any

import torch
from mmpretrain.models import MoCoV3ViT as _MoCoV3ViT
from mmpretrain.models.utils import build_2d_sincos_position_embedding
from torch import Tensor, nn

from mixssl.registry import MODELS
from mixssl.utils.errors import require


@MODELS.register_module()
class MoCoV3ViT(_MoCoV3ViT):
    """mmpretrain's ViT of MoCo v3 (Chen, Xie, He 2021), with two faults of its fixed positions put right.

    mmpretrain writes them in ``init_weights`` alone: a model built without it has positions of zero, and learns them.
    And it counts places column by column, as the authors do, where tokens run row by row: on square images that swaps
    the two axes, which nothing notices; on others places are wrong. Here they are written when the model is built, and
    follow the tokens. On square images they are mmpretrain's, bit by bit, so checkpoints mean the same.

    Args:
        *args: Of mmpretrain's MoCoV3ViT: ``arch``, ``img_size``, ``patch_size``, ``stop_grad_conv1``, ...
        token_dropout: Share of an image's patches, in [0, 1), that is not encoded where a gradient is computed: others
            for each image and pass. The teacher sees all of them, and so does evaluation. Cheaper by about that share,
            at some cost in accuracy; positions are added before. A mixture shows its images by λ on average only, and
            is encoded for itself alone, no longer for its reverse.
        **kwargs: Of mmpretrain's.

    Raises:
        ValueError: If ``token_dropout`` lies outside its range, or maps are asked for with it.
    """

    def __init__(self, *args: Any, token_dropout: float = 0.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        require("[0, 1)", self, "0.5 halves the cost", token_dropout=token_dropout)
        if token_dropout and self.out_type == "featmap":
            raise ValueError(
                f"token_dropout of MoCoV3ViT is {token_dropout} and out_type='featmap' needs every token: set it to 0"
            )
        self.token_dropout = token_dropout
        self.layers[0].register_forward_pre_hook(self._drop)
        self._write_positions()

    def init_weights(self) -> None:
        """As the parent, with the positions of this class; loaded weights bring their own."""
        super().init_weights()
        if not (isinstance(self.init_cfg, dict) and self.init_cfg.get("type") == "Pretrained"):
            self._write_positions()

    def _drop(self, layer: nn.Module, args: tuple[Tensor]) -> tuple[Tensor] | None:
        """Leaves random patches out of what the first layer is given."""
        if not (self.token_dropout and self.training and torch.is_grad_enabled()):
            return None
        tokens, first = args[0], self.num_extra_tokens
        count = tokens.shape[1] - first
        kept = max(round((1 - self.token_dropout) * count), 1)
        order = torch.rand(len(tokens), count, device=tokens.device).argsort(dim=1)[:, :kept]
        patches = tokens[:, first:].gather(1, order[..., None].expand(-1, -1, tokens.shape[2]))
        return (torch.cat([tokens[:, :first], patches], dim=1),)

    def _write_positions(self) -> None:
        rows, columns = self.patch_resolution
        # The function counts its second number fastest but one: what it calls columns are the tokens' rows.
        positions = build_2d_sincos_position_embedding(
            patches_resolution=(columns, rows), embed_dims=self.embed_dims, cls_token=True
        )
        self.pos_embed.data.copy_(positions)
        self.pos_embed.requires_grad = False
