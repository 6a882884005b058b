"""Features of clean images, taken from a training step that computes them anyway."""

from typing import Any

from torch import Tensor, nn

from mixssl.evaluation.features import pool


class BackboneTap:
    """Keeps, of each training step, the backbone's features of the first view.

    Methods give a backbone one view, several views in one batch, or their images interleaved; so where the first view's
    images lie in a batch is found out by comparing, once for each size of batch.

    Args:
        model: A self-supervised model with ``backbone`` and ``data_preprocessor``, without a distributed wrapper.
        tokens: As in :func:`mixssl.evaluation.features.pool`.
    """

    def __init__(self, model: nn.Module, tokens: str = "cls") -> None:
        self._model = model
        self._tokens = tokens
        self._extra = getattr(model.backbone, "num_extra_tokens", 1)
        self._views: list[Tensor] = []
        self._feature: Tensor | None = None
        self._places: dict[int, slice] = {}
        self._handles = [
            model.data_preprocessor.register_forward_hook(self._note_views),  # type: ignore[union-attr]
            model.backbone.register_forward_hook(self._note_feature),  # type: ignore[union-attr]
        ]

    def take(self) -> Tensor | None:
        """Features (N, D) of the last step's first view, without a graph; None if the backbone did not see it."""
        feature, self._feature, self._views = self._feature, None, []
        return feature

    def close(self) -> None:
        """Stops listening."""
        for handle in self._handles:
            handle.remove()

    def _note_views(self, module: nn.Module, args: Any, output: Any) -> None:
        """Keeps a training batch's normalised views."""
        if not self._model.training:
            return
        inputs = output["inputs"]
        self._views = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        self._feature = None

    def _note_feature(self, module: nn.Module, args: tuple[Tensor, ...], output: Any) -> None:
        """Keeps the features of the first batch that holds the first view."""
        if self._feature is not None or not self._views or not module.training:
            return
        place = self._places.get(len(args[0])) or self._find(args[0])
        if place is not None:
            self._places[len(args[0])] = place
            self._feature = pool(output, self._tokens, self._extra).detach()[place]

    def _find(self, batch: Tensor) -> slice | None:
        """Rows of a batch that are the first view's images."""
        first = self._views[0]
        alike = sum(view.shape == first.shape for view in self._views)
        for place in (slice(0, len(first), 1), slice(0, alike * len(first), alike)):
            rows = batch[place]
            if rows.shape == first.shape and bool((rows == first).all()):
                return place
        return None
