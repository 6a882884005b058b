"""Features of a whole data set from any mmpretrain model, on one process or many."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.dataset import DefaultSampler
from mmengine.dist import all_gather, get_world_size
from mmpretrain.models import ImageClassifier
from torch import Tensor, nn
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from mixssl.datasets.named_failures import listed, not_finite
from mixssl.evaluation.state import undisturbed
from mixssl.utils.distributed import unwrap
from mixssl.utils.errors import ConfigError, require_at_least
from mixssl.utils.progress import tracked

GATHER_ROWS = 8192
"""Rows that one exchange between ranks carries: it bounds the memory beside the result."""


class FeatureSet(NamedTuple):
    """Features of a data set, in its order.

    Attributes:
        features: (N, D), float32 unless asked for in float16.
        labels: (N,), int64; None where the data set has none.
    """

    features: Tensor
    labels: Tensor | None


def pool(feats: Tensor | Sequence[Tensor], tokens: str = "cls", extra_tokens: int = 1) -> Tensor:
    """One vector per image from what a backbone returns.

    Args:
        feats: The output, or a sequence whose last item is meant: maps (N, C, H, W), which are averaged; tokens
            (N, L, C); or vectors (N, C), which stay.
        tokens: For tokens: "cls" takes the first, "avg" the mean of the patches.
        extra_tokens: Number of tokens before those of the patches.

    Returns:
        (N, C), in the dtype of the input.

    Raises:
        ValueError: "cls" without a class token, an unknown name in ``tokens``, or another number of dimensions.
    """
    feat = feats if isinstance(feats, Tensor) else feats[-1]
    if feat.ndim == 4:
        return feat.mean(dim=(2, 3))
    if feat.ndim == 2:
        return feat
    if feat.ndim != 3:
        raise ValueError(
            f"features have the shape {tuple(feat.shape)}; (N, C), (N, L, C) or (N, C, H, W) can be pooled."
        )
    if tokens == "avg":
        return feat[:, extra_tokens:].mean(dim=1)
    if tokens != "cls":
        raise ValueError(f"tokens is {tokens!r}; choose 'cls' or 'avg'.")
    if extra_tokens < 1:
        raise ValueError(
            "tokens is 'cls', but this backbone has no class token; choose tokens='avg'."
        )
    return feat[:, 0]


def backbone_feature(model: nn.Module, inputs: Tensor, tokens: str = "cls") -> Tensor:
    """The backbone's last output, pooled: (N, C, H, W) images to (N, D).

    A transformer that trains by its class token is asked for all tokens where their mean is wanted.
    """
    stage = {"stage": "backbone"} if isinstance(model, ImageClassifier) else {}
    backbone: Any = model.backbone
    asked = getattr(backbone, "out_type", None)
    try:
        if tokens == "avg" and asked == "cls_token":
            backbone.out_type = "raw"
        feats = model.extract_feat(inputs, **stage)  # type: ignore[operator]
    finally:
        if asked is not None:
            backbone.out_type = asked
    return pool(feats, tokens, getattr(backbone, "num_extra_tokens", 1))


def projected_feature(model: nn.Module, inputs: Tensor, tokens: str = "cls") -> Tensor:
    """The embedding after the neck, not normalised: (N, C, H, W) images to (N, D).

    Raises:
        ValueError: The model has no neck.
    """
    if getattr(model, "neck", None) is None:
        raise ValueError(
            f"{type(model).__name__} has no neck to project with; choose feature='backbone'."
        )
    stage = {"stage": "backbone"} if isinstance(model, ImageClassifier) else {}
    projected = model.neck(model.extract_feat(inputs, **stage))  # type: ignore[operator]
    return pool(projected, tokens)


Feature = Callable[[nn.Module, Tensor, str], Tensor]
"""From a model, images (N, C, H, W) and the name of a pooling to (N, D)."""
FEATURES: dict[str, Feature] = {"backbone": backbone_feature, "projected": projected_feature}
"""What a model can be asked for, by name."""


def check_feature(feature: str, before: str = "") -> None:
    """Raises a ConfigError, which starts with ``before``, unless there is such a feature."""
    if feature not in FEATURES:
        known = " or ".join(map(repr, FEATURES))
        raise ConfigError(f"{before}feature is {feature!r}; choose {known}")


def check_loader(loader: DataLoader) -> Tensor:
    """Positions in the data set of the samples that this rank will get, in order: (n,), int64.

    Raises:
        ValueError: The order can't be known beforehand, or samples would be left out.
    """
    batches = loader.batch_sampler
    known = (DefaultSampler, SequentialSampler)
    if type(batches) is not BatchSampler or not isinstance(batches.sampler, known):
        raise ValueError(
            "features are put back into the order of the data set, which this loader's sampler does not tell; "
            "use sampler=dict(type='DefaultSampler', shuffle=False)."
        )
    if len(loader.dataset) == 0:  # type: ignore[arg-type]
        raise ValueError("the data set is empty; there is nothing to take features of.")
    if batches.drop_last:
        raise ValueError("this loader leaves out the last images; set drop_last=False.")
    return torch.tensor([i for batch in batches for i in batch], dtype=torch.int64)


def extract_features(
    model: nn.Module,
    loader: DataLoader,
    feature: str | Feature = "backbone",
    tokens: str = "cls",
    storage: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> FeatureSet:
    """Features and labels of every image of a loader, in the order of its data set, the same on every rank.

    Runs in float32 and evaluation mode, with rank 0's statistics; model and random states are afterwards as before. The
    repeated samples by which a sampler fills up the ranks are dropped.

    Args:
        model: An mmpretrain model (self-supervised or classifier), also in its distributed wrapper.
        loader: Gives one plain view per image, collated by ``default_collate``.
        feature: "backbone" (pooled), "projected" (after the neck, not normalised), or what computes another.
        tokens: For backbones that return all tokens: "cls" or "avg".
        storage: Where the result lies; batches are computed on the model's device.
        dtype: Of the result, whose memory float16 halves: ImageNet's 1,281,167 images of 2048 numbers take 4.9 GiB
            instead of 9.8. One process needs that once, several twice.

    Raises:
        ValueError: An unknown feature, a model that lacks it, several views per image, a loader that leaves images out
            or whose order is unknown, pixels that are not finite.
    """
    if isinstance(feature, str) and feature not in FEATURES:
        raise ValueError(f"feature is {feature!r}; choose one of {', '.join(map(repr, FEATURES))}.")
    compute = FEATURES[feature] if isinstance(feature, str) else feature
    model = unwrap(model)
    positions = check_loader(loader)
    total = len(loader.dataset)  # type: ignore[arg-type]
    rows: Tensor | None = None
    labels, done = [], 0
    with undisturbed(model):
        device = next(model.parameters()).device
        for batch in tracked(loader, f"features of {total} images", len(loader)):
            _refuse_not_finite(batch)
            data = model.data_preprocessor(batch, False)  # type: ignore[operator]
            with torch.autocast(device.type, enabled=False):
                vectors = compute(model, _one_view(data["inputs"]), tokens)
            if rows is None:
                shape = (len(positions), vectors.shape[1])
                rows = torch.empty(shape, dtype=dtype, device=storage)
            rows[done : done + len(vectors)] = vectors
            done += len(vectors)
            labels.append(_labels(batch.get("data_samples")))
        assert rows is not None  # check_loader has seen that there are images
        features = _in_order(rows, positions, total)
        known = [part for part in labels if part is not None]
        if len(known) < len(labels):
            return FeatureSet(features, None)
        return FeatureSet(features, _in_order(torch.cat(known).to(storage), positions, total))


def _refuse_not_finite(batch: Any) -> None:
    """Raises a ConfigError at images with pixels that are no numbers: of those no feature is one either."""
    names = not_finite(batch)
    if names:
        raise ConfigError(
            f"pixels of {listed(names)} are NaN or infinite: mend these images, or leave them out"
        )


def extract_views(
    model: nn.Module,
    loader: DataLoader,
    images: int,
    feature: str = "backbone",
    tokens: str = "cls",
) -> list[Tensor]:
    """Features of several views of the first images of a loader, in evaluation mode, on one process.

    Args:
        model: As in ``extract_features``.
        loader: Gives the views that training sees, as a list.
        images: How many; fewer if the loader has fewer.
        feature: As in ``extract_features``.
        tokens: As in ``extract_features``.

    Returns:
        (images, D), float32, on the CPU, for each view that has as many pixels as the first.

    Raises:
        ValueError: An unknown feature, fewer than two such views, or no images asked for.
    """
    check_feature(feature)
    require_at_least(1, "", images=images)
    model, rows, done = unwrap(model), [], 0
    with undisturbed(model):
        for batch in loader:
            inputs = model.data_preprocessor(batch, False)["inputs"]  # type: ignore[operator]
            views = [inputs] if isinstance(inputs, Tensor) else list(inputs)
            views = [view for view in views if view.shape == views[0].shape]
            if len(views) < 2:
                raise ValueError(
                    "the loader gives one view per image and two are needed; use MultiView in its pipeline."
                )
            rows.append([FEATURES[feature](model, view, tokens).float().cpu() for view in views])
            done += len(views[0])
            if done >= images:
                break
    return [torch.cat(parts)[:images] for parts in zip(*rows, strict=True)]


def _one_view(inputs: Tensor | Sequence[Tensor]) -> Tensor:
    if isinstance(inputs, Tensor):
        return inputs
    if inputs[0].dim() == 3:
        raise ValueError(
            "the loader leaves the images of a batch unstacked: set its collate_fn=dict(type='default_collate')."
        )
    if len(inputs) != 1:
        raise ValueError(
            f"the loader gives {len(inputs)} views per image and features need one; "
            "leave MultiView out of its pipeline."
        )
    return inputs[0]


def _labels(samples: Sequence | None) -> Tensor | None:
    """One label per sample, (n,), or None where a sample has none or several."""
    if samples is None:
        return None
    labels = [sample.get("gt_label") for sample in samples]
    if any(label is None or label.numel() != 1 for label in labels):
        return None
    return torch.cat([label.reshape(1).cpu() for label in labels])


def _in_order(rows: Tensor, positions: Tensor, total: int) -> Tensor:
    """This rank's rows (n, ...) at its positions (n,), and all ranks' together: (total, ...)."""
    if get_world_size() == 1 and positions.equal(torch.arange(total)):
        return rows
    out = rows.new_empty((total, *rows.shape[1:]))
    if get_world_size() == 1:
        out[positions.to(rows.device)] = rows
        return out
    longest = max(int(n) for n in all_gather(torch.tensor([len(rows)])))
    # Ranks may differ by a row; the filling has no position.
    fill = longest - len(rows)
    positions = torch.cat([positions, positions.new_full((fill,), -1)])
    rows = torch.cat([rows, rows.new_zeros((fill, *rows.shape[1:]))])
    for start in range(0, longest, GATHER_ROWS):
        part = slice(start, start + GATHER_ROWS)
        places, values = all_gather(positions[part]), all_gather(rows[part])
        for place, value in zip(places, values, strict=True):
            real = place >= 0
            out[place[real].to(out.device)] = value[real.to(value.device)].to(out.device)
    return out
