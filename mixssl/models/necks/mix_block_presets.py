"""Mix blocks with the options of the authors' code."""

from collections.abc import Callable
from typing import Any

from mixssl.models.necks.mix_block import MixBlock, MixBlockPlus, require_choice
from mixssl.registry import MODELS

PRESETS: dict[str, tuple[Callable[..., MixBlock], dict[str, Any]]] = {
    "automix": (MixBlock, {"predicted": "partner"}),
    "automix_small": (
        MixBlock,
        {"predicted": "partner", "lam_encoding": "none", "attention_norm_cfg": {"type": "BN"}},
    ),
    "samix": (
        MixBlockPlus,
        {
            "predicted": "partner",
            "lam_encoding": "fixed",
            "act_cfg": {"type": "ELU"},
            "variance_weight": 2.0,
            "adjust": False,
        },
    ),
}
"""What the authors' toolbox trains: AutoMix on ImageNet, AutoMix on small images, and SAMix, AMix's later name."""


@MODELS.register_module()
def preset_mix_block(preset: str, in_channels: int, **changes: Any) -> MixBlock:
    """Builds a mix block with the options of the authors' code.

    Args:
        preset: "automix", "automix_small" or "samix": a key of :data:`PRESETS`, which lists the options.
        in_channels: Of the features.
        **changes: Options of :class:`MixBlock` that differ from the preset.

    Raises:
        ValueError: If there is no such preset.
    """
    require_choice("preset", preset, PRESETS)
    block, options = PRESETS[preset]
    return block(in_channels, **(options | changes))
