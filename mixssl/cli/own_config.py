"""From choices to a config of mmengine's kind, in full: nothing is inherited, so that a person sees all of it."""

from collections.abc import Sequence
from typing import Any

from mmengine.config import Config

from mixssl.cli.choices import BACKBONES, Choice
from mixssl.cli.tool import tools_folder
from mixssl.datasets.look import Look

Node = dict[str, Any]
EMBEDDING = 128
PATCHES = 14
"""Patches along a side of the image, as a ViT has of 224 pixels."""
MEASUREMENTS = 10
"""Times a run is measured and saved, at most."""
NEIGHBOURS = 20
MIXERS = {
    "unmix": {"type": "mixssl.UnMix", "alpha": 1.0, "p_global": 0.5},
    "mixco": {"type": "mixssl.MixCo"},
}
HEADS: dict[tuple[str, str], Node] = {
    ("simclr", "unmix"): {"type": "mixssl.UnMixHead"},
    ("moco", "unmix"): {"type": "mixssl.UnMixHead"},
    ("byol", "unmix"): {"type": "mixssl.UnMixHead", "pairing": "mutual"},
    ("simclr", "mixco"): {"type": "mixssl.MixCoHead"},
    ("moco", "mixco"): {"type": "mixssl.MixCoHead"},
    ("byol", "mixco"): {"type": "mixssl.UnMixHead", "pairing": "cross"},
}


class Data:
    """How a config names images.

    Args:
        source: Path of the images.
        look: What was seen of them.
        leave_out: Table of images that are not part of it.
        labels: Path of images with labels to measure on; None takes the images themselves, if they have classes.
    """

    def __init__(
        self, source: str, look: Look, leave_out: str | None, labels: str | None = None
    ) -> None:
        self.source, self.look, self.leave_out, self.labels = source, look, leave_out, labels

    def dataset(self, options: Node, part: str, pipeline: list[Node], source: str = "") -> Node:
        """Config of a part of the images."""
        own = not source
        dataset: Node = {
            "type": "mixssl.AnyImages",
            "source": source or self.source,
            "channels": options["channels"],
            "value_range": self.look.value_range,
            "part": part,
            "held_back": options["held_back"] if own else 0,
            "pipeline": pipeline,
        }
        if own and self.leave_out:
            dataset["leave_out"] = self.leave_out
        if options["load_size"]:
            dataset["at_least"] = options["load_size"]
        return dataset


def own_config(data: Data, options: Node, in_memory: bool, devices: int) -> Config:
    """The whole config.

    Args:
        data: The images.
        options: All chosen options by name.
        in_memory: Whether decoded images are kept.
        devices: Processes that train together.
    """
    cfg = Config.fromfile(tools_folder().parent / "configs/_base_/default_runtime.py").to_dict()
    held = data.dataset(options, "held_back", plain_pipeline(options))
    train = data.dataset(options, "train", training_pipeline(options))
    interval = max(options["epochs"] // MEASUREMENTS, 1)
    hooks: dict[str, Node] = {
        "label_free": {
            "type": "mixssl.LabelFreeMonitorHook",
            "images": loader(held, options, shuffle=False),
            "interval": interval,
        }
    }
    banks = labelled(data, options)
    if banks:
        k = NEIGHBOURS if data.look.images > 100 else 1
        hooks["knn"] = {"type": "mixssl.KNNMonitorHook", "k": k, "interval": interval}
    cfg |= {
        "data_preprocessor": preprocessor(data.look, options),
        "model": model(options, devices),
        "train_dataloader": loader(
            {"type": "mixssl.InMemory", "dataset": train} if in_memory else train,
            options,
            shuffle=True,
        ),
        **banks,
        **schedule(options),
        "auto_scale_lr": {"base_batch_size": options["batch_size"] * devices},
    }
    cfg["default_hooks"] |= {
        "logger": {"type": "LoggerHook", "interval": 20},
        "checkpoint": {
            "type": "CheckpointHook",
            "interval": interval,
            "max_keep_ckpts": 1,
            "save_best": "knn_top1" if banks else "rankme",
            "rule": "greater",
        },
        **hooks,
    }
    cfg["randomness"] = {"seed": options.get("seed", 0), "deterministic": False}
    return Config(cfg)


def training_pipeline(options: Node) -> list[Node]:
    """What data workers do: squares of one size where images differ, and nothing else; the device makes the views."""
    side = options["load_size"]
    squares: list[Node] = [
        {"type": "ResizeEdge", "scale": side, "edge": "short", "backend": "cv2"},
        {"type": "RandomCrop", "crop_size": side},
    ]
    return [*(squares if side else []), {"type": "mixssl.PackImages"}]


def plain_pipeline(options: Node) -> list[Node]:
    """What is done to images that are measured on."""
    side, view = options["load_size"], options["view_size"]
    steps: list[Node] = []
    if side:
        steps = [
            {"type": "ResizeEdge", "scale": side, "edge": "short", "backend": "cv2"},
            {"type": "CenterCrop", "crop_size": view},
        ]
    elif options["stem"] == "patches":
        steps = [{"type": "Resize", "scale": (view, view), "backend": "cv2"}]
    return [*steps, {"type": "PackInputs"}]


def loader(dataset: Node, options: Node, shuffle: bool) -> Node:
    """Config of a data loader."""
    workers = options["workers"]
    return {
        "batch_size": options["batch_size"],
        "num_workers": workers if shuffle else min(workers, 2),
        "persistent_workers": bool(workers) and shuffle,
        "drop_last": shuffle,
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        "collate_fn": {"type": "default_collate"},
        "dataset": dataset,
    }


def labelled(data: Data, options: Node) -> Node:
    """Loaders of images with labels, if there are any."""
    pipeline = plain_pipeline(options)
    if data.labels:
        bank = data.dataset(options, "train", pipeline, data.labels)
        query = data.dataset(options, "held_back", pipeline, data.labels)
        bank["held_back"] = query["held_back"] = options["labels_held_back"]
    elif data.look.classes:
        bank = data.dataset(options, "train", pipeline)
        query = data.dataset(options, "held_back", pipeline)
    else:
        return {}
    return {
        "knn_bank": loader(bank, options, shuffle=False),
        "knn_query": loader(query, options, shuffle=False),
    }


def preprocessor(look: Look, options: Node) -> Node:
    """Normalisation by the images' own statistics, views on the device, and the mixer."""
    settings: Node = {
        "type": "mixssl.InstanceMixDataPreprocessor",
        "mean": list(look.mean),
        "std": list(look.std),
        "views": {"num_views": 2, "transforms": [view_steps(options)]},
    }
    if options["channels"] == 3:
        settings["to_rgb"] = True
    if options["mixture"] != "none":
        settings["mixer"] = MIXERS[options["mixture"]]
    return settings


def view_steps(options: Node) -> list[Node]:
    """How a view is made; colours only where there are three channels."""
    strength, colours = options["colour"], options["channels"] == 3
    jitter: Node = {"type": "ColorJitter", "brightness": strength, "contrast": strength}
    if colours:
        jitter |= {"saturation": strength, "hue": min(strength / 4, 0.5)}
    steps: list[Node] = [
        {
            "type": "RandomResizedCrop",
            "scale": options["view_size"],
            "crop_ratio_range": (options["crop_min"], 1.0),
        }
    ]
    if strength:
        steps.append({"type": "RandomApply", "prob": 0.8, "transforms": [jitter]})
    if strength and colours:
        weights = (0.114, 0.587, 0.2989)
        gray: Node = {"type": "RandomGrayscale", "prob": 0.2, "keep_channels": True}
        steps.append({**gray, "channel_weights": weights})
    if options["blur"]:
        most = max(options["view_size"] / 112, 0.2)
        blur: Node = {
            "type": "GaussianBlur",
            "magnitude_range": (0.1, most),
            "magnitude_std": "inf",
        }
        steps.append({**blur, "prob": options["blur"]})
    if options["flip"]:
        steps.append({"type": "RandomFlip", "prob": options["flip"]})
    return steps


def backbone_config(options: Node, devices: int = 1) -> Node:
    """The network."""
    name, channels = options["backbone"], options["channels"]
    if name.startswith("vit"):
        view = options["view_size"]
        return {
            "type": "VisionTransformer",
            "arch": f"deit-{name.removeprefix('vit_')}",
            "img_size": view,
            "patch_size": patch_size(view),
            "in_channels": channels,
        }
    kinds = {"3x3": "ResNet_CIFAR", "3x3-pool": "mixssl.ResNetMedium", "7x7": "ResNet"}
    return {
        "type": kinds[options["stem"]],
        "depth": int(name.removeprefix("resnet")),
        "in_channels": channels,
        "norm_cfg": {"type": "SyncBN" if devices > 1 else "BN"},
        "zero_init_residual": False,
    }


def patch_size(view: int) -> int:
    """The side of a patch nearest to a fourteenth of the view that divides it."""
    return min(
        (side for side in range(1, view + 1) if view % side == 0),
        key=lambda s: abs(s - view / PATCHES),
    )


def model(options: Node, devices: int) -> Node:
    """Method, backbone, projector and losses."""
    method, width = options["method"], BACKBONES[options["backbone"]]
    norm = {"type": "SyncBN" if devices > 1 else "BN1d"}
    pooled = options["backbone"].startswith("resnet")
    projector: Node = {
        "type": "NonLinearNeck",
        "in_channels": width,
        "hid_channels": max(1024, width),
        "out_channels": EMBEDDING,
        "num_layers": 2,
        "with_bias": True,
        "with_last_bn": method == "simclr",
        "with_last_bias": method != "simclr",
        "with_avg_pool": pooled,
        "norm_cfg": norm,
    }
    contrastive = {
        "type": "ContrastiveHead",
        "loss": {"type": "CrossEntropyLoss"},
        "temperature": options["temperature"],
    }
    node: Node = {"backbone": backbone_config(options, devices), "neck": projector}
    if method == "simclr":
        node |= {"type": "mixssl.MixSimCLR", "head": contrastive}
    elif method == "byol":
        predictor = {**projector, "in_channels": EMBEDDING, "with_avg_pool": False}
        head = {
            "type": "LatentPredictHead",
            "loss": {"type": "CosineSimilarityLoss", "shift_factor": 1.0},
            "predictor": predictor,
        }
        node |= {"type": "mixssl.MixBYOL", "base_momentum": 0.01, "head": head}
    else:
        node["neck"] = {
            "type": "MoCoV2Neck",
            "in_channels": width,
            "hid_channels": width,
            "out_channels": EMBEDDING,
            "with_avg_pool": pooled,
        }
        node |= {
            "type": "mixssl.MixMoCo",
            "queue_len": options["queue"],
            "feat_dim": EMBEDDING,
            "momentum": 0.01 if options["queue"] < 16384 else 0.001,
            "head": contrastive,
        }
    if options["mixture"] != "none":
        node["mix_head"] = dict(HEADS[method, options["mixture"]])
        if node["mix_head"]["type"] == "mixssl.MixCoHead":
            node["mix_head"]["temperature"] = options["temperature"]
    return node


def schedule(options: Node) -> Node:
    """Optimizer, warm-up, cosine."""
    epochs, warmup = options["epochs"], options["warmup_epochs"]
    sgd = {"type": "SGD", "momentum": 0.9, "weight_decay": 1e-4}
    adam = {"type": "Adam", "weight_decay": 1e-6}
    optimizer: Node = {**(sgd if options["method"] == "moco" else adam), "lr": options["lr"]}
    halved = options["precision"] == "bfloat16"
    steps: list[Node] = []
    if warmup:
        steps.append({"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": warmup})
    if epochs > warmup:
        steps.append(
            {
                "type": "CosineAnnealingLR",
                "T_max": epochs - warmup,
                "begin": warmup,
                "end": epochs,
            }
        )
    return {
        "train_cfg": {"type": "EpochBasedTrainLoop", "max_epochs": epochs},
        "optim_wrapper": {
            "type": "mixssl.BFloat16OptimWrapper" if halved else "OptimWrapper",
            "optimizer": optimizer,
        },
        "param_scheduler": [
            {**step, "by_epoch": True, "convert_to_iter_based": True} for step in steps
        ],
    }


def config_text(cfg: Config, choices: Sequence[Choice], command: str) -> str:
    """The config as a file: what was chosen and why as comments, then the values."""
    lines = [
        f"# Written by: {command}",
        "# Edit it as you like; `mixssl train` trains it. What was chosen, and why:",
    ]
    for option, value, why, source in choices:
        said = f"{why} ({source})" if source else why
        lines.append(f"#   {option} = {value!r}: {said}")
    return "\n".join(lines) + f"\n\n{cfg.pretty_text}"
