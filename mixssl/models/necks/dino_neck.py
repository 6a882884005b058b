"""DINO's projection head: an MLP to a sphere, and scores of prototypes on it."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mixssl.registry import MODELS
from mixssl.utils.errors import require


@MODELS.register_module()
class DINONeck(BaseModule):
    """Layers with GELU, L2 normalisation, and a linear layer with weights of length one (Caron et al. 2021, §3.1).

    Args:
        in_channels: Of the backbone: of its class token, or of its last map, which is averaged.
        out_dim: Number of prototypes: 65,536 on ImageNet, far fewer on small data (1,024 below 20,000 images, 4,096 on
            100,000 or so).
        hid_channels: Of the hidden layers.
        bottleneck: Size of the embedding that is compared with prototypes.
        num_layers: Linear layers before the prototypes, >= 1.
        norm_cfg: Of a normalisation behind each hidden layer, as DINO has it for ConvNets; None, as for ViTs.
        norm_last_layer: Whether prototypes keep length one; False learns their lengths, which helps a ViT-S and may
            make training unstable.
        init_cfg: As in mmengine; the default is a truncated normal of 0.02, the authors'.

    Raises:
        ValueError: If ``num_layers`` is below 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_dim: int = 65536,
        hid_channels: int = 2048,
        bottleneck: int = 256,
        num_layers: int = 3,
        norm_cfg: dict | None = None,
        norm_last_layer: bool = True,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg or {"type": "TruncNormal", "layer": "Linear", "std": 0.02})
        require(">= 1", self, "3 is usual", num_layers=num_layers)
        widths = [in_channels, *[hid_channels] * (num_layers - 1)]
        layers: list[nn.Module] = []
        for size, following in pairwise(widths):
            layers.append(nn.Linear(size, following, bias=norm_cfg is None))
            if norm_cfg is not None:
                layers.append(build_norm_layer(norm_cfg, following)[1])
            layers.append(nn.GELU())
        self.mlp = nn.Sequential(*layers, nn.Linear(widths[-1], bottleneck))
        self.prototypes = nn.Parameter(torch.empty(out_dim, bottleneck))
        nn.init.kaiming_uniform_(self.prototypes, a=5**0.5)  # as nn.Linear; only directions count
        self.lengths = None if norm_last_layer else nn.Parameter(torch.ones(out_dim, 1))
        self.hold_prototypes = False

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor]:
        """Scores images.

        Args:
            feats: Of the backbone, the last of them (N, in_channels) or (N, in_channels, h, w).

        Returns:
            Scores, (N, out_dim), in a tuple as necks return them.
        """
        features = feats[-1]
        if features.ndim == 4:
            features = features.mean(dim=(2, 3))
        embedding = F.normalize(self.mlp(features), dim=1)
        prototypes = F.normalize(self.prototypes, dim=1)
        if self.lengths is not None:
            prototypes = prototypes * self.lengths
        if self.hold_prototypes:
            # A gradient of zeros and not none at all, which a distributed wrapper would wait for.
            prototypes = prototypes.detach() + 0 * prototypes
        return (F.linear(embedding, prototypes),)
