"""A backbone leaves its checkpoint whole, by the names of networks that others build, or not at all."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision.models
from mmengine.registry import MODELS
from support.checkpoints import WIDTH, pretraining, resnet, spread
from torch import Tensor, nn

from mixssl import __version__
from mixssl.transfer import LAYOUTS, extract, read_checkpoint, resnet_tensors, to_detectron2
from mixssl.transfer.extraction import file_content, file_name, find_backbone
from mixssl.utils.checkpoints import Checkpoint, state_dict_of
from mixssl.utils.errors import ConfigError

NARROW = resnet_tensors(18, WIDTH)


def _checkpoint(state: dict[str, Tensor]) -> Checkpoint:
    """As it would be read from a file."""
    meta = {"epoch": 3, "cfg": "a = 1"}
    return Checkpoint(Path("epoch_3.pth"), state_dict_of(state), meta, {}, "0" * 64)


def _full_size(depth: int) -> nn.Module:
    """mmpretrain's ResNet as it is pre-trained."""
    torch.manual_seed(0)
    model = MODELS.build({"type": "mmpretrain.ResNet", "depth": depth, "out_indices": (0, 1, 2, 3)})
    spread(model)
    model.eval()
    return model


def _prefixed(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in state.items()}


@pytest.mark.parametrize("depth", [18, 50])
def test_torchvisions_resnet_takes_every_weight_and_gives_the_same_features(depth: int) -> None:
    pretrained = _full_size(depth)
    state = _prefixed("backbone.", pretrained.state_dict()) | {"neck.fc.weight": torch.ones(1)}
    extraction = extract(_checkpoint(state), resnet_tensors(depth))
    content = file_content(extraction, _checkpoint(state), "torchvision")
    theirs = getattr(torchvision.models, f"resnet{depth}")(weights=None)
    theirs.fc = nn.Identity()
    loaded = torch.load(io.BytesIO(content), weights_only=True)
    theirs.load_state_dict(loaded["state_dict"], strict=True)
    image = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        pooled = pretrained(image)[-1].mean(dim=(2, 3))
        torch.testing.assert_close(theirs.eval()(image), pooled, rtol=0, atol=1e-5)


def test_the_report_accounts_for_every_tensor(tmp_path: Path) -> None:
    pretraining(tmp_path / "epoch_3.pth")
    checkpoint = read_checkpoint(tmp_path / "epoch_3.pth")
    extraction = extract(checkpoint, NARROW)
    assert extraction.report() == (
        "loaded 120 of 120 tensors of the online backbone; missing 0; unexpected 0; "
        "not of the backbone: queue 1, queue_ptr 1, neck 4, encoder_k 125"
    )
    assert len(extraction.state) + sum(extraction.left_out.values()) == len(checkpoint.state)


def test_online_and_momentum_encoder_are_told_apart(tmp_path: Path) -> None:
    model = pretraining(tmp_path / "epoch_3.pth")
    with torch.no_grad():
        model.encoder_k.module[0].conv1.weight.add_(1)
    checkpoint = _checkpoint(model.state_dict())
    online, averaged = (extract(checkpoint, NARROW, name).state for name in ("online", "momentum"))
    assert torch.equal(online["conv1.weight"], model.backbone.conv1.weight)
    assert torch.equal(averaged["conv1.weight"], model.encoder_k.module[0].conv1.weight)
    assert not torch.equal(online["conv1.weight"], averaged["conv1.weight"])


@pytest.mark.parametrize(
    ("encoder", "prefix"),
    [
        ("online", ""),
        ("online", "module."),
        ("online", "backbone."),
        ("online", "module.backbone."),
        ("online", "module.encoder_q."),
        ("momentum", "encoder_k.module.0."),
        ("momentum", "target_net.module.0."),
        ("momentum", "momentum_encoder.module.0."),
        ("momentum", "module.encoder_k."),
    ],
)
def test_every_form_of_a_checkpoint_gives_the_same_backbone(encoder: str, prefix: str) -> None:
    state = _prefixed(prefix, NARROW | {"fc.weight": torch.ones(1)})
    extraction = extract(_checkpoint(state), NARROW, encoder)
    assert extraction.state.keys() == NARROW.keys() and extraction.encoder == encoder
    assert sum(extraction.left_out.values()) == 1


def test_counters_may_be_missing_and_nothing_else() -> None:
    state = {k: v for k, v in NARROW.items() if not k.endswith("num_batches_tracked")}
    extraction = extract(_checkpoint(state), NARROW)
    assert len(extraction.state) == 100 and len(extraction.missing) == 20
    assert "loaded 100 of 120" in extraction.report()
    assert "missing 20 (num_batches_tracked only)" in extraction.report()
    del state["layer3.1.bn2.bias"]
    with pytest.raises(ConfigError, match="1 missing \\(layer3.1.bn2.bias\\)"):
        extract(_checkpoint(state), NARROW)


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("ResNet_CIFAR", {}, "a 3x3 stem for small images, without pooling instead of a 7x7 stem"),
        ("ResNetV1d", {}, "a deep stem of three 3x3 convolutions (ResNet-C and -D) instead of"),
        ("ResNet", {"depth": 34}, "depth 34 instead of depth 18"),
        ("ResNet", {"depth": 50}, "depth 50 instead of depth 18"),
        ("ResNet", {"base_channels": 8}, "8 base channels instead of 16 base channels"),
    ],
)
def test_another_stem_or_depth_is_refused_with_the_reason(
    kind: str, changes: dict, reason: str
) -> None:
    state = _prefixed("backbone.", MODELS.build(resnet(kind, **changes)).state_dict())
    with pytest.raises(ConfigError) as caught:
        extract(_checkpoint(state), NARROW)
    line = str(caught.value)
    assert line.startswith("'epoch_3.pth' holds another backbone than the target's: ")
    assert reason in line and "\n" not in line


def test_tensors_that_do_not_fit_are_named() -> None:
    extra = NARROW | {"layer1.0.gate.weight": torch.ones(1)}
    with pytest.raises(ConfigError, match="1 unexpected \\(layer1.0.gate.weight\\)"):
        extract(_checkpoint(extra), NARROW)
    other = NARROW | {"layer4.1.bn1.bias": torch.ones(7)}
    with pytest.raises(ConfigError, match="1 of another shape \\(layer4.1.bn1.bias \\(7,\\)"):
        extract(_checkpoint(other), NARROW)
    broken = NARROW | {"bn1.bias": torch.full((WIDTH,), float("nan"))}
    with pytest.raises(ConfigError, match="bn1.bias holds NaN or infinity"):
        extract(_checkpoint(broken), NARROW)


@pytest.mark.parametrize(
    ("state", "encoder", "reason"),
    [
        ({"backbone.conv1.weight": 0, "rpn_head.rpn_cls.weight": 0}, "online", "a detector's"),
        ({"backbone.conv1.weight": 0}, "momentum", "has no momentum backbone, only backbone"),
        ({"neck.fc.weight": 0}, "online", "has no online backbone, only neck"),
    ],
)
def test_checkpoints_without_a_backbone_are_refused(
    state: dict[str, int], encoder: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason):
        find_backbone(_checkpoint({name: torch.ones(1) for name in state}), encoder)


def test_other_backbones_are_refused() -> None:
    state = {"backbone.patch_embed.weight": torch.ones(1)}
    with pytest.raises(ConfigError, match="'epoch_3.pth': the backbone is no ResNet"):
        extract(_checkpoint(state), NARROW)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files_are_reproducible_and_say_where_they_come_from(layout: str, tmp_path: Path) -> None:
    pretraining(tmp_path / "epoch_3.pth")
    checkpoint = read_checkpoint(tmp_path / "epoch_3.pth")
    contents = [file_content(extract(checkpoint, NARROW), checkpoint, layout) for _ in range(2)]
    assert contents[0] == contents[1]
    name = file_name(checkpoint, layout, "online", contents[0])
    digits = hashlib.sha256(contents[0]).hexdigest()[:8]
    ending = "pkl" if layout == "detectron2" else "pth"
    assert name == f"epoch_3_backbone_{layout}-{digits}.{ending}"
    assert "epoch_3_momentum_backbone" in file_name(checkpoint, layout, "momentum", contents[0])
    if layout == "detectron2":
        loaded = pickle.loads(contents[0])
        assert loaded["matching_heuristics"] is True and loaded["__author__"] == "mixssl"
        weights = loaded["model"]["res2.0.conv1.weight"]
        assert torch.equal(
            torch.from_numpy(weights), checkpoint.state["backbone.layer1.0.conv1.weight"]
        )
        assert len(loaded["model"]) == 100
    else:
        loaded = torch.load(io.BytesIO(contents[0]), weights_only=True)
        assert loaded["state_dict"].keys() == NARROW.keys()
        (tmp_path / name).write_bytes(contents[0])
        assert read_checkpoint(tmp_path / name).settings == checkpoint.settings != {}
    meta = loaded["meta"]
    assert meta["source"] == "epoch_3.pth" and meta["source_sha256"] == checkpoint.sha256
    assert (meta["epoch"], meta["iter"], meta["layout"], meta["encoder"]) == (
        3,
        30,
        layout,
        "online",
    )
    assert meta["config"] == checkpoint.meta["cfg"] and meta["mixssl_version"] == __version__


def test_what_is_extracted_is_a_copy() -> None:
    state = {name: value.clone() for name, value in NARROW.items()}
    extraction = extract(_checkpoint(state), NARROW)
    extraction.state["conv1.weight"].zero_()
    assert state["conv1.weight"].abs().sum() > 0


BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
NORM = ("weight", "bias", "running_mean", "running_var")


def _convs(depth: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes of the convolutions, written down from the structure of the network."""
    bottleneck = depth >= 50
    yield "stem.conv1", (64, 3, 7, 7)
    inputs = 64
    for stage, blocks in enumerate(BLOCKS[depth]):
        middle = 64 * 2**stage
        outputs = middle * (4 if bottleneck else 1)
        for block in range(blocks):
            name = f"res{stage + 2}.{block}"
            if inputs != outputs:
                yield f"{name}.shortcut", (outputs, inputs, 1, 1)
            if bottleneck:
                yield f"{name}.conv1", (middle, inputs, 1, 1)
                yield f"{name}.conv2", (middle, middle, 3, 3)
                yield f"{name}.conv3", (outputs, middle, 1, 1)
            else:
                yield f"{name}.conv1", (middle, inputs, 3, 3)
                yield f"{name}.conv2", (middle, middle, 3, 3)
            inputs = outputs


@pytest.mark.parametrize("depth", sorted(BLOCKS))
def test_every_tensor_has_detectron2s_name_and_shape(depth: int) -> None:
    expected = {}
    for name, shape in _convs(depth):
        expected[f"{name}.weight"] = shape
        expected |= {f"{name}.norm.{part}": shape[:1] for part in NORM}
    renamed = to_detectron2(resnet_tensors(depth))
    assert {name: tuple(value.shape) for name, value in renamed.items()} == expected


def test_values_stay_with_their_names() -> None:
    state: dict[str, Tensor] = resnet_tensors(18)
    renamed = to_detectron2(state)
    assert renamed["stem.conv1.norm.bias"] is state["bn1.bias"]
    assert renamed["res5.0.shortcut.weight"] is state["layer4.0.downsample.0.weight"]
    assert renamed["res5.0.shortcut.norm.running_var"] is state["layer4.0.downsample.1.running_var"]
    assert renamed["res3.1.conv2.norm.weight"] is state["layer2.1.bn2.weight"]
