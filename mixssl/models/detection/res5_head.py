"""The last stage of a ResNet, moved from the backbone to the regions."""

from typing import Any

from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from mmpretrain.models.backbones.resnet import ResLayer, ResNet, get_expansion
from torch import Tensor

from mixssl.registry import MODELS

STAGE = 3
"""Index of the last of the four stages, which ResNet calls ``layer4`` and detection ``res5``."""


@MODELS.register_module()
class Res5Head(BaseModule):
    """The shared head of a C4 detector: the backbone's fourth stage on each region, and one more norm at its end.

    A backbone that was pre-trained without labels ends in features of another scale than a supervised one. MoCo's
    detectors therefore normalise once more after the last stage, before boxes and masks are predicted. mmdet's own
    shared head lacks that norm, and keeps the statistics of the others fixed unless told otherwise.

    The stage is mmpretrain's, block for block what was pre-trained, and bears its name: a backbone's ``layer4.*``
    are the weights of this head's ``layer4.*``.

    Args:
        depth: Depth of the ResNet: 18, 34, 50, 101 or 152.
        norm_cfg: Norm layers, the extra one included; batch normalisation by default. All of them are trained.
        base_channels: Channels of the ResNet's first stage before expansion; 64 but in tests.
        init_cfg: Initialisation where there are no pre-trained weights; He's for convolutions by default.

    Raises:
        ValueError: A depth that ResNet doesn't have.
    """

    def __init__(
        self,
        depth: int = 50,
        norm_cfg: dict[str, Any] | None = None,
        base_channels: int = 64,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        if depth not in ResNet.arch_settings:
            raise ValueError(
                f"Res5Head: depth is {depth}; take one of {', '.join(map(str, ResNet.arch_settings))}."
            )
        super().__init__(
            init_cfg
            or [
                {"type": "Kaiming", "layer": "Conv2d"},
                {"type": "Constant", "val": 1, "layer": ["_BatchNorm", "GroupNorm"]},
            ]
        )
        norm_cfg = norm_cfg or {"type": "BN"}
        block, blocks = ResNet.arch_settings[depth]
        planes = base_channels * 2**STAGE
        self.out_channels = planes * get_expansion(block)
        self.layer4 = ResLayer(
            block,
            blocks[STAGE],
            in_channels=self.out_channels // 2,
            out_channels=self.out_channels,
            stride=2,
            norm_cfg=norm_cfg,
        )
        self.norm = build_norm_layer(norm_cfg, self.out_channels)[1]

    def forward(self, x: Tensor) -> Tensor:
        """Regions (R, C / 2, h, w) to (R, C, h / 2, w / 2), C 2048 for ResNet-50 and 512 for ResNet-18."""
        normed: Tensor = self.norm(self.layer4(x))
        return normed
