"""A backbone's folder gives the same features in timm and torchvision, and takes the weights of others back in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from safetensors.torch import load_file, save_file

from mixssl.cli.embed import read_backbone
from mixssl.cli.hand_over import write_backbone
from mixssl.transfer.backbone_folder import Backbone, build_backbone
from mixssl.transfer.start import fit_channels, read_weights, start_of, what_it_is
from mixssl.utils.errors import ConfigError

RESNET: dict[str, Any] = {"type": "ResNet", "depth": 18, "norm_cfg": {"type": "BN"}}
VIT: dict[str, Any] = {
    "type": "VisionTransformer",
    "arch": "deit-tiny",
    "img_size": 32,
    "patch_size": 8,
}


def _backbone(config: dict[str, Any], channels: int = 3, **changes: Any) -> Backbone:
    """A backbone with random weights, and statistics that are not those of a new one."""
    config = {**config, "in_channels": channels}
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("mmpretrain"):
        network = MODELS.build(config)
    state = {
        name: value + 0.1 * torch.rand(value.shape) if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    size = config.get("img_size", 32)
    mean = [100.0 + i for i in range(channels)]
    fields = {"size": size, "whole": size, "value_range": None, "facts": {"images": "none"}}
    return Backbone(state, config, mean, [50.0] * channels, **{**fields, **changes})


@pytest.mark.parametrize(
    ("config", "channels"),
    [(RESNET, 3), (RESNET, 5), ({**RESNET, "type": "ResNet_CIFAR"}, 3), (VIT, 3), (VIT, 2)],
    ids=["resnet", "five channels", "small stem", "vit", "vit of two channels"],
)
def test_features_are_the_same_elsewhere(
    config: dict[str, Any], channels: int, tmp_path: Path
) -> None:
    pytest.importorskip("timm")
    backbone = _backbone(config, channels)
    lines = write_backbone(backbone, tmp_path)
    assert [line.split(", largest")[0] for line in lines] == [
        "timm: the same features",
        "torchvision: the same features",
    ]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        *("README.md", "config.json", "mmpretrain.pth", "model.safetensors", "torchvision.pth")
    }
    again = read_backbone(tmp_path)
    assert all(again.state[name].equal(value) for name, value in backbone.state.items())
    assert again._replace(state={}) == backbone._replace(state={})
    card = (tmp_path / "README.md").read_text()
    assert "```python" in card and "largest difference" in card
    assert ("model.maxpool = torch.nn.Identity()" in card) == (config["type"] == "ResNet_CIFAR")


def test_a_wrong_form_is_found_out(tmp_path: Path) -> None:
    pytest.importorskip("timm")
    backbone = _backbone(VIT)
    write_backbone(backbone, tmp_path)
    noted = json.loads((tmp_path / "config.json").read_text())
    assert noted["model_args"]["num_heads"] == 3 and noted["pretrained_cfg"]["first_conv"]
    from mixssl.transfer import backbone_folder

    other = backbone._replace(state={k: v + 0.1 for k, v in backbone.state.items()})
    with pytest.raises(ConfigError, match=r"the features of timm differ by .* 1e-05 is allowed"):
        backbone_folder.largest_differences(other, str(tmp_path))


def _run(config: dict[str, Any], kind: str = "mixssl.MixBYOL") -> Config:
    return Config({"model": {"type": kind, "backbone": config}})


@pytest.mark.parametrize("config", [RESNET, VIT], ids=["resnet", "vit"])
def test_weights_of_every_origin_arrive(config: dict[str, Any], tmp_path: Path) -> None:
    backbone = _backbone(config)
    write_backbone(backbone, tmp_path)
    for name in ("", "model.safetensors", "torchvision.pth", "mmpretrain.pth"):
        content, lines = start_of(tmp_path / name, _run(config))
        (tmp_path / "start.pth").write_bytes(content)
        state = torch.load(tmp_path / "start.pth", weights_only=True)["state_dict"]
        for key, value in backbone.state.items():
            assert state[f"backbone.{key}"].equal(value)
            assert state[f"target_net.module.0.{key}"].equal(value)
        assert lines[-1].endswith("missing 0, unexpected 0; not of the backbone: 0")
    expected = ("vit_tiny", "patches") if config is VIT else ("resnet18", "7x7")
    assert what_it_is(backbone.state) == expected


def test_hugging_faces_own_names_arrive(tmp_path: Path) -> None:
    resnet, vit = _backbone(RESNET).state, _backbone(VIT).state
    renamed = {}
    for name, value in resnet.items():
        stage, _, rest = name.partition(".")
        part = "convolution" if ".conv" in f".{name}" or "downsample.0" in name else "normalization"
        last = name.rpartition(".")[2]
        if not stage.startswith("layer"):
            renamed[f"resnet.embedder.embedder.{part}.{last}"] = value
            continue
        block, inner = rest.split(".")[:2]
        where = "shortcut" if inner == "downsample" else f"layer.{int(inner[-1]) - 1}"
        start = f"resnet.encoder.stages.{int(stage[-1]) - 1}.layers.{block}"
        renamed[f"{start}.{where}.{part}.{last}"] = value
    renamed["classifier.1.weight"] = torch.zeros(2, 512)
    save_file(renamed, tmp_path / "hf.safetensors")
    found, heads = read_weights(tmp_path / "hf.safetensors")
    assert found.keys() == resnet.keys() and heads == ["classifier.1.weight"]
    assert all(found[name].equal(value) for name, value in resnet.items())
    layer = {}
    for part, value in zip(
        ("query", "key", "value"), vit["layers.0.attn.qkv.weight"].chunk(3), strict=True
    ):
        layer[f"vit.encoder.layer.0.attention.attention.{part}.weight"] = value.clone()
    layer["vit.encoder.layer.0.output.dense.bias"] = vit["layers.0.ffn.layers.1.bias"]
    save_file(layer, tmp_path / "vit.safetensors")
    found, _ = read_weights(tmp_path / "vit.safetensors")
    assert found.keys() == {"layers.0.attn.qkv.weight", "layers.0.ffn.layers.1.bias"}
    assert found["layers.0.attn.qkv.weight"].equal(vit["layers.0.attn.qkv.weight"])


def test_the_first_layer_is_fitted_to_other_channels(tmp_path: Path) -> None:
    weight = torch.rand(4, 3, 7, 7)
    assert torch.allclose(fit_channels(weight, 1)[:, 0], weight.sum(1))
    four = fit_channels(weight, 4)
    assert torch.allclose(four, weight[:, [0, 1, 2, 0]] * 0.75)
    gray = torch.rand(1, 1, 7, 7)
    for channels in (2, 4, 7, 16):
        fitted = fit_channels(weight.mean(1, keepdim=True).expand(-1, 3, -1, -1), channels)
        seen = torch.nn.functional.conv2d(gray.expand(1, channels, 7, 7), fitted)
        whole = weight.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        expected = torch.nn.functional.conv2d(gray.expand(1, 3, 7, 7), whole)
        assert torch.allclose(seen, expected, atol=1e-4)
    write_backbone(_backbone(RESNET), tmp_path)
    _, lines = start_of(tmp_path, _run({**RESNET, "in_channels": 5}))
    assert lines[0] == "conv1.weight: 3 channels fitted to 5"


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    write_backbone(_backbone(RESNET), tmp_path)
    with pytest.raises(ConfigError, match="does not fit the backbone"):
        start_of(tmp_path, _run({**RESNET, "depth": 34}))
    with pytest.raises(ConfigError, match="there are no weights at"):
        read_weights(tmp_path / "nosuch.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nothing!")
    with pytest.raises(ConfigError, match="is no whole safetensors file"):
        read_weights(tmp_path / "bad.safetensors")
    with pytest.raises(ConfigError, match="the backbone is no ResNet"):
        what_it_is({"x": torch.zeros(1)})
    assert load_file(tmp_path / "model.safetensors")
    network = build_backbone(_backbone(RESNET))
    assert not network.training
