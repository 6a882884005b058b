"""What detectors of mmdet need to start from a pre-trained backbone. Nothing here imports mmdet."""

from mixssl.models.detection.pretrained import PretrainedBackbone, backbone_places
from mixssl.models.detection.res5_head import Res5Head

__all__ = ["PretrainedBackbone", "Res5Head", "backbone_places"]
