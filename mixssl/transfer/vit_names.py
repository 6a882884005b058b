"""What other libraries call the tensors of a Vision Transformer, and of Hugging Face's own ResNet."""

import re
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

Pairs = tuple[tuple[str, str], ...]
TIMM: Pairs = (
    ("patch_embed.projection.", "patch_embed.proj."),
    (r"layers.(\d+).ln1.", r"blocks.\1.norm1."),
    (r"layers.(\d+).ln2.", r"blocks.\1.norm2."),
    (r"layers.(\d+).ffn.layers.0.0.", r"blocks.\1.mlp.fc1."),
    (r"layers.(\d+).ffn.layers.1.", r"blocks.\1.mlp.fc2."),
    (r"layers.(\d+).attn.gamma1.weight", r"blocks.\1.ls1.gamma"),
    (r"layers.(\d+).ffn.gamma2.weight", r"blocks.\1.ls2.gamma"),
    (r"layers.(\d+).attn.", r"blocks.\1.attn."),
    ("ln1.", "norm."),
    ("ln2.", "fc_norm."),
)
"""Beginnings of mmpretrain's names, and of timm's; what is not here has one name in both."""
TORCHVISION: Pairs = (
    ("cls_token", "class_token"),
    ("pos_embed", "encoder.pos_embedding"),
    ("patch_embed.projection.", "conv_proj."),
    (r"layers.(\d+).ln1.", r"encoder.layers.encoder_layer_\1.ln_1."),
    (r"layers.(\d+).ln2.", r"encoder.layers.encoder_layer_\1.ln_2."),
    (r"layers.(\d+).attn.qkv.", r"encoder.layers.encoder_layer_\1.self_attention.in_proj_"),
    (r"layers.(\d+).attn.proj.", r"encoder.layers.encoder_layer_\1.self_attention.out_proj."),
    (r"layers.(\d+).ffn.layers.0.0.", r"encoder.layers.encoder_layer_\1.mlp.0."),
    (r"layers.(\d+).ffn.layers.1.", r"encoder.layers.encoder_layer_\1.mlp.3."),
    ("ln1.", "encoder.ln."),
)
TRANSFORMERS_RESNET: Pairs = (
    ("embedder.embedder.convolution.", "conv1."),
    ("embedder.embedder.normalization.", "bn1."),
    (r"encoder.stages.(\d+).layers.(\d+).shortcut.convolution.", r"layer{1}.\2.downsample.0."),
    (r"encoder.stages.(\d+).layers.(\d+).shortcut.normalization.", r"layer{1}.\2.downsample.1."),
    (r"encoder.stages.(\d+).layers.(\d+).layer.(\d+).convolution.", r"layer{1}.\2.conv{3}."),
    (r"encoder.stages.(\d+).layers.(\d+).layer.(\d+).normalization.", r"layer{1}.\2.bn{3}."),
)
"""``{n}`` counts from 1 where theirs counts from 0."""
TRANSFORMERS_VIT: Pairs = (
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection.", "patch_embed.projection."),
    (r"encoder.layer.(\d+).layernorm_before.", r"layers.\1.ln1."),
    (r"encoder.layer.(\d+).layernorm_after.", r"layers.\1.ln2."),
    (r"encoder.layer.(\d+).attention.attention.", r"layers.\1.attn."),
    (r"encoder.layer.(\d+).attention.output.dense.", r"layers.\1.attn.proj."),
    (r"encoder.layer.(\d+).intermediate.dense.", r"layers.\1.ffn.layers.0.0."),
    (r"encoder.layer.(\d+).output.dense.", r"layers.\1.ffn.layers.1."),
    ("layernorm.", "ln1."),
)
WRAPPERS = ("timm_model.", "resnet.", "vit.", "module.")
"""What others put in front of all names."""
HEADS = ("fc.", "head.", "heads.", "classifier.", "pooler.")


def _renamed(state: Mapping[str, Tensor], pairs: Pairs) -> dict[str, Tensor]:
    """Renames by the first pattern that fits the beginning of a name."""
    compiled = [
        (re.compile(old.replace(".", r"\.").replace(r"(\d+)", "(\\d+)")), new) for old, new in pairs
    ]

    def rename(name: str) -> str:
        for pattern, new in compiled:
            found = pattern.match(name)
            if found:
                for group, number in enumerate(found.groups(), 1):
                    new = new.replace(f"{{{group}}}", str(int(number) + 1))
                return found.expand(new) + name[found.end() :]
        return name

    return {rename(name): value for name, value in state.items()}


def _turned(pairs: Pairs) -> Pairs:
    """The same pairs the other way round."""
    return tuple((new.replace(r"\1", r"(\d+)"), old.replace(r"(\d+)", r"\1")) for old, new in pairs)


def vit_to_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mmpretrain's names of a ViT to timm's."""
    return _renamed(state, TIMM)


def vit_to_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mmpretrain's names of a ViT to torchvision's."""
    return _renamed(state, TORCHVISION)


def from_others(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    """Names of timm, torchvision and Hugging Face's transformers to mmpretrain's.

    Args:
        state: A backbone or a classifier, ResNet or ViT; mmpretrain's own names stay.

    Returns:
        The backbone, and the names of what belongs to a head.
    """
    for wrapper in WRAPPERS:
        if state and all(name.startswith(wrapper) or name.startswith(HEADS) for name in state):
            state = {name.removeprefix(wrapper): value for name, value in state.items()}
    heads = [name for name in state if name.startswith(HEADS)]
    body = {name: value for name, value in state.items() if name not in heads}
    if _any(body, "blocks."):
        return _renamed(body, _turned(TIMM)), heads
    if _any(body, "encoder.layers.encoder_layer_"):
        return _renamed(body, _turned(TORCHVISION)), heads
    if _any(body, "encoder.stages."):
        return _renamed(body, TRANSFORMERS_RESNET), heads
    if _any(body, "encoder.layer."):
        return _joined(_renamed(body, TRANSFORMERS_VIT)), heads
    return body, heads


def _any(names: Iterable[str], start: str) -> bool:
    return any(name.startswith(start) for name in names)


def _joined(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Query, key and value as the one tensor that mmpretrain has."""
    joined = dict(state)
    for name in state:
        if ".attn.query." in name:
            parts = [joined.pop(name.replace("query", part)) for part in ("query", "key", "value")]
            joined[name.replace("query", "qkv")] = torch.cat(parts)
    return joined
