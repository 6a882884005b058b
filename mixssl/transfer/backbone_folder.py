"""A backbone as a folder that other libraries load: timm and Hugging Face, torchvision, mmpretrain and mmdet."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import MODELS, DefaultScope
from safetensors.torch import save
from torch import Tensor, nn

from mixssl.transfer.vit_names import vit_to_timm, vit_to_torchvision
from mixssl.utils.checkpoints import torch_bytes
from mixssl.utils.errors import ConfigError
from mixssl.version import __version__

PROBE = 2
"""Random images that the check sends through both networks."""
TOLERANCE = 1e-5
STEM = """model.conv1 = torch.nn.Conv2d({channels}, 64, 3, 1, 1, bias=False)"""
NO_POOLING = "model.maxpool = torch.nn.Identity()"
HEADS_OF_VIT = {"tiny": 3, "small": 6, "base": 12}


class Backbone(NamedTuple):
    """A trained backbone and what must be known to use it.

    Attributes:
        state: Tensors by mmpretrain's names, without a prefix.
        config: mmpretrain's config of it.
        mean: Per channel, in the unit of 0 to 255, RGB where there are three.
        std: Likewise.
        size: Side of the images that it was trained on.
        whole: Side to which the shorter side is resized before the centre is cut out.
        value_range: What becomes 0 and 255 of images of more than 8 bits; None for 8 bits.
        facts: Further lines of the card: images, recipe, commit, figures.
    """

    state: Mapping[str, Tensor]
    config: dict[str, Any]
    mean: list[float]
    std: list[float]
    size: int
    whole: int
    value_range: tuple[float, float] | None
    facts: Mapping[str, str]

    @property
    def channels(self) -> int:
        """Of the input."""
        return len(self.mean)

    @property
    def is_vit(self) -> bool:
        """Whether it is a transformer."""
        return "cls_token" in self.state

    @property
    def small_stem(self) -> bool:
        """Whether its first convolution is 3x3, which no stock ResNet has."""
        return not self.is_vit and self.state["conv1.weight"].shape[-1] == 3

    @property
    def features(self) -> int:
        """Numbers of a feature."""
        if self.is_vit:
            return int(self.state["cls_token"].shape[-1])
        last = max(name for name in self.state if name.startswith("layer4.0.conv"))
        return int(self.state[last].shape[0])


def build_backbone(backbone: Backbone) -> nn.Module:
    """The network as pre-training had it, in evaluation mode.

    Raises:
        ConfigError: The weights are not those of its config.
    """
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        network: Any = MODELS.build({**backbone.config, "init_cfg": None})
    try:
        network.load_state_dict(dict(backbone.state))
    except RuntimeError as error:
        line = " ".join(str(error).split())
        raise ConfigError(
            f"the weights are not those of the config's backbone: {line[:200]}"
        ) from error
    network = revert_sync_batchnorm(network)
    network.eval()  # mmpretrain's networks return nothing
    return network


def architecture(backbone: Backbone) -> tuple[str, dict[str, Any]]:
    """Name of timm's architecture, and its arguments.

    Raises:
        ConfigError: timm has none that computes the same.
    """
    if backbone.is_vit:
        size = str(backbone.config["arch"]).rpartition("-")[2]
        if size not in HEADS_OF_VIT:
            raise ConfigError(
                f"timm's names of a ViT {size!r} are not known here: tiny, small and base are"
            )
        return f"vit_{size}_patch16_224", {
            "img_size": backbone.size,
            "patch_size": backbone.state["patch_embed.projection.weight"].shape[-1],
            "num_heads": HEADS_OF_VIT[size],
            **({} if backbone.channels == 3 else {"in_chans": backbone.channels}),
        }
    depth, first = backbone.config.get("depth"), backbone.state.get("conv1.weight")
    if (
        first is None
        or first.shape[0] != 64
        or backbone.config.get("style", "pytorch") != "pytorch"
    ):
        raise ConfigError(
            "timm and torchvision have no ResNet with this stem or width: take the weights with mmpretrain"
        )
    return f"resnet{depth}", {} if backbone.channels == 3 else {"in_chans": backbone.channels}


def timm_config(backbone: Backbone) -> dict[str, Any]:
    """What ``config.json`` says; under "mixssl" what timm has no word for."""
    name, arguments = architecture(backbone)
    three = backbone.channels == 3
    return {
        "architecture": name,
        "num_classes": 0,
        "num_features": backbone.features,
        "global_pool": "token" if backbone.is_vit else "avg",
        "model_args": arguments,
        "pretrained_cfg": {
            "input_size": [backbone.channels, backbone.size, backbone.size],
            "fixed_input_size": backbone.is_vit,
            "interpolation": "bilinear",
            "crop_pct": round(backbone.size / backbone.whole, 4),
            "mean": [value / 255 for value in backbone.mean],
            "std": [value / 255 for value in backbone.std],
            "num_classes": 0,
            # With the name of it timm would fit three channels to others, and 1.0.28 leaves it at random.
            "first_conv": ("patch_embed.proj" if backbone.is_vit else "conv1") if three else None,
            "classifier": "head" if backbone.is_vit else "fc",
            "custom_load": False,
        },
        "mixssl": {
            "version": __version__,
            "backbone": backbone.config,
            "mean": backbone.mean,
            "std": backbone.std,
            "size": backbone.size,
            "whole": backbone.whole,
            "value_range": backbone.value_range,
            "facts": dict(backbone.facts),
        },
    }


def files_of(backbone: Backbone) -> dict[str, bytes]:
    """Content of each file but the card: the same bytes for the same backbone."""
    own = {
        name: value.detach().cpu().contiguous().clone() for name, value in backbone.state.items()
    }
    timm = vit_to_timm(own) if backbone.is_vit else own
    vision = vit_to_torchvision(own) if backbone.is_vit else own
    prefixed = {f"backbone.{name}": value for name, value in own.items()}
    config = timm_config(backbone)
    return {
        "config.json": (json.dumps(config, indent=2) + "\n").encode(),
        "model.safetensors": save(timm, metadata={"format": "pt"}),
        "torchvision.pth": torch_bytes(vision),
        "mmpretrain.pth": torch_bytes({"meta": config["mixssl"], "state_dict": prefixed}),
    }


def largest_differences(backbone: Backbone, folder: str) -> dict[str, str]:
    """Compares features of random images here, in timm and in torchvision, each loaded as the card says.

    Args:
        backbone: What was written.
        folder: Where.

    Returns:
        What was compared, to a sentence that states the largest difference.

    Raises:
        ConfigError: A difference of more than 1e-5, as a part of the largest number or of 1.
    """
    here = build_backbone(backbone)
    shape = (PROBE, backbone.channels, backbone.size, backbone.size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    said = {}
    with torch.no_grad():
        own = here(images)[-1]
        own = own.mean((2, 3)) if own.ndim == 4 else own
        for name, load in (("timm", _in_timm), ("torchvision", _in_torchvision)):
            try:
                network = load(backbone, folder)
            except ImportError:
                said[name] = f"not compared: {name} is not installed (pip install {name})"
                continue
            network.eval()
            distance = float((network(images) - own).abs().max() / own.abs().max().clamp(min=1))
            if not distance <= TOLERANCE:
                raise ConfigError(
                    f"the features of {name} differ by {distance:.1e} from those here, and {TOLERANCE:.0e} is allowed"
                )
            said[name] = f"the same features, largest difference {distance:.1e}"
    return said


def _in_timm(backbone: Backbone, folder: str) -> nn.Module:
    """Timm's network with these weights, as :func:`snippets` says."""
    import timm

    if not backbone.small_stem:
        built: nn.Module = timm.create_model(f"local-dir:{folder}", pretrained=True)
        return built
    from safetensors.torch import load_file

    name, arguments = architecture(backbone)
    network: Any = timm.create_model(name, num_classes=0, **arguments)
    _small_stem(network, backbone)
    network.load_state_dict(load_file(f"{folder}/model.safetensors"))
    plain: nn.Module = network
    return plain


def _in_torchvision(backbone: Backbone, folder: str) -> nn.Module:
    """Torchvision's network with these weights."""
    import torchvision

    weights = torch.load(f"{folder}/torchvision.pth", weights_only=True)
    if backbone.is_vit:
        width = backbone.features
        network: Any = torchvision.models.VisionTransformer(
            image_size=backbone.size,
            patch_size=backbone.state["patch_embed.projection.weight"].shape[-1],
            num_layers=12,
            num_heads=width // 64,
            hidden_dim=width,
            mlp_dim=4 * width,
        )
        network.heads = nn.Identity()
        if backbone.channels != 3:
            first = network.conv_proj
            network.conv_proj = nn.Conv2d(backbone.channels, width, first.kernel_size, first.stride)
    else:
        network = getattr(torchvision.models, f"resnet{backbone.config['depth']}")()
        network.fc = nn.Identity()
        if backbone.channels != 3:
            network.conv1 = nn.Conv2d(backbone.channels, 64, 7, 2, 3, bias=False)
        if backbone.small_stem:
            _small_stem(network, backbone)
    network.load_state_dict(weights)
    built: nn.Module = network
    return built


def _small_stem(network: Any, backbone: Backbone) -> None:
    network.conv1 = nn.Conv2d(backbone.channels, 64, 3, 1, 1, bias=False)
    if not str(backbone.config["type"]).endswith("ResNetMedium"):
        network.maxpool = nn.Identity()


def snippets(backbone: Backbone, folder: str) -> dict[str, str]:
    """How to load the folder: library to lines of Python."""
    name, arguments = architecture(backbone)
    given = "".join(f", {key}={value!r}" for key, value in arguments.items())
    stem = [STEM.format(channels=backbone.channels)]
    if not str(backbone.config["type"]).endswith("ResNetMedium"):
        stem.append(NO_POOLING)
    timm = ["import timm", "", f"model = timm.create_model('local-dir:{folder}', pretrained=True)"]
    if backbone.small_stem:
        timm = [
            "import timm, torch",
            "from safetensors.torch import load_file",
            "",
            f"model = timm.create_model('{name}', num_classes=0{given})",
            *stem,
            f"model.load_state_dict(load_file('{folder}/model.safetensors'))",
        ]
    vision = [
        "import torch, torchvision",
        "",
        f"model = torchvision.models.{name}()",
        "model.fc = torch.nn.Identity()",
        *(stem if backbone.small_stem else []),
        f"model.load_state_dict(torch.load('{folder}/torchvision.pth', weights_only=True))",
    ]
    openmm = [
        f"backbone = {backbone.config!r}",
        f"backbone['init_cfg'] = dict(type='Pretrained', checkpoint='{folder}/mmpretrain.pth', prefix='backbone')",
    ]
    found = {"timm and Hugging Face": timm, "mmpretrain and mmdet (in a config)": openmm}
    if not backbone.is_vit and backbone.channels == 3:
        found["torchvision"] = vision
    for library in ("timm and Hugging Face", "torchvision"):
        found.get(library, []).append("model.eval()")
    return {library: "\n".join(lines) for library, lines in found.items()}
