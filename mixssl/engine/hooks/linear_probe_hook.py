"""A linear classifier that learns beside pre-training and leaves no trace in it."""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mixssl.engine.hooks.backbone_tap import BackboneTap
from mixssl.engine.hooks.monitor import FeatureMonitor
from mixssl.evaluation import accuracy, extract_features
from mixssl.registry import HOOKS
from mixssl.utils.distributed import unwrap
from mixssl.utils.errors import ConfigError, require_at_least
from mixssl.utils.random_state import kept_random_state

KEY = "linear_probe"
"""Where a checkpoint holds the classifier."""
UNKNOWN = -1
"""Label of an image that has none."""


@HOOKS.register_module()
class LinearProbeHook(FeatureMonitor):
    """Trains a linear classifier on the backbone's features while the backbone is pre-trained.

    The features are those that training computes of the first view anyway (in training mode, so with the batch's
    statistics), cut off from its graph: no gradient reaches the backbone, no forward pass is added, and training is
    bit by bit what it is without the hook. The classifier starts at zero, has its own optimizer, steps once per
    iteration, on several ranks with the average of their gradients, and is saved and resumed with the run.

    ``train/probe_top1`` is the accuracy in percent on the training views since the last time it was logged, each
    judged before it was learned from. Where there are images to test on, ``probe_top1`` is the accuracy on those, in
    evaluation mode, logged and usable for ``save_best`` as ``KNNMonitorHook``'s figure. A probe that learns while the
    features change understates what one trained afterwards reaches.

    Args:
        query: Config of the data loader of images to test on: one plain view, labels, in known order. None is
            ``knn_query`` of the run's config, if it has one.
        num_classes: Classes; None takes the number that the training data set names.
        optimizer: Of the classifier, without ``params``.
        tokens: For backbones that return all tokens: "cls" or "avg".
        interval: Epochs between two tests, at least 1.
        log_interval: Iterations between two figures of the training views, at least 1.

    Raises:
        ConfigError: A setting out of range (at once); no number of classes, images or views without labels, labels out
            of range, or no clean view among what the backbone sees (at the start of training).
    """

    metric = "probe_top1"

    def __init__(
        self,
        query: dict | DataLoader | None = None,
        num_classes: int | None = None,
        optimizer: dict | None = None,
        tokens: str = "cls",
        interval: int = 1,
        log_interval: int = 50,
    ) -> None:
        super().__init__(interval)
        require_at_least(1, "LinearProbeHook: ", log_interval=log_interval)
        if tokens not in ("cls", "avg"):
            raise ConfigError(f"LinearProbeHook: tokens is {tokens!r}; choose 'cls' or 'avg'.")
        self.query = query
        self.num_classes = num_classes
        self.optimizer_config = {"type": "Adam", "lr": 1e-3} if optimizer is None else optimizer
        self.tokens = tokens
        self.log_interval = log_interval
        self._query: DataLoader | None = None
        self._tap: BackboneTap | None = None
        self._classifier: nn.Linear | None = None
        self._optimizer: torch.optim.Optimizer | None = None
        self._counts: Tensor | None = None
        self._saved: dict[str, Any] | None = None
        self._first = True
        self.classes = 0

    # -- around training -----------------------------------------------------------------------------------------

    def before_train(self, runner: Runner) -> None:
        """Builds the loader and listens to the backbone."""
        super().before_train(runner)
        self.classes = self._class_count(runner)
        loader = runner.cfg.get("knn_query") if self.query is None else self.query
        if loader is not None:
            with kept_random_state():
                self._query = self.build_loader(runner, loader)
        self._tap = BackboneTap(unwrap(runner.model), self.tokens)

    def after_train(self, runner: Runner) -> None:
        """Tests the last classifier and stops listening."""
        super().after_train(runner)
        if self._tap is not None:
            self._tap.close()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Adds the classifier and its optimizer to a checkpoint."""
        if self._classifier is not None and self._optimizer is not None:
            checkpoint[KEY] = {
                "classifier": self._classifier.state_dict(),
                "optimizer": self._optimizer.state_dict(),
            }

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keeps the classifier of a checkpoint that is being resumed from."""
        if runner._resume:
            self._saved = checkpoint.get(KEY)
            if self._saved is None:
                runner.logger.info("The checkpoint has no linear probe: it starts anew.")

    # -- a step --------------------------------------------------------------------------------------------------

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        """Learns from the step's features, and logs when it is time to."""
        assert self._tap is not None
        feature = self._tap.take()
        if feature is None:
            raise ConfigError(
                "LinearProbeHook: the backbone was given no clean view as it is, so there are no features whose labels "
                "are known: leave the hook out, and judge checkpoints with tools/evaluate/"
            )
        self._learn(feature, self._labels(data_batch, len(feature)))
        if self.every_n_train_iters(runner, self.log_interval) or self.is_last_train_iter(runner):
            self._log(runner)

    def _learn(self, feature: Tensor, labels: Tensor) -> None:
        """One step of the classifier, with features (N, D) and labels (N,) on the CPU; nothing is read back."""
        classifier, optimizer = self._build(feature)
        answers = labels.to(feature.device, non_blocking=True)
        with torch.enable_grad(), torch.autocast(feature.device.type, enabled=False):
            logits = classifier(feature.float())
            loss = F.cross_entropy(logits, answers, ignore_index=UNKNOWN, reduction="sum")
            gradients = torch.autograd.grad(loss, list(classifier.parameters()))
        right = (logits.detach().argmax(1) == answers).sum()
        counts = torch.stack([right, (answers != UNKNOWN).sum()]).float()
        packed = torch.cat([*(gradient.flatten() for gradient in gradients), counts])
        all_reduce(packed)
        seen = packed[-1].clamp(min=1)
        sizes = [gradient.numel() for gradient in gradients]
        for parameter, total in zip(classifier.parameters(), packed[:-2].split(sizes), strict=True):
            parameter.grad = total.view_as(parameter) / seen
        optimizer.step()
        self._counts = packed[-2:] if self._counts is None else self._counts + packed[-2:]

    def _build(self, feature: Tensor) -> tuple[nn.Linear, torch.optim.Optimizer]:
        """The classifier and its optimizer, made when the number of features is first known."""
        if self._classifier is not None and self._optimizer is not None:
            return self._classifier, self._optimizer
        # Zeros: a convex problem needs no draw, and all ranks start alike.
        classifier = nn.utils.skip_init(
            nn.Linear, feature.shape[1], self.classes, device=feature.device
        )
        for parameter in classifier.parameters():
            nn.init.zeros_(parameter)
        optimizer = OPTIMIZERS.build(
            {**self.optimizer_config, "params": list(classifier.parameters())}
        )
        if self._saved is not None:
            saved, self._saved = self._saved, None
            shape = tuple(saved["classifier"]["weight"].shape)
            if shape != tuple(classifier.weight.shape):
                raise ConfigError(
                    f"LinearProbeHook: the checkpoint's classifier is {shape} and this run's "
                    f"{tuple(classifier.weight.shape)} (classes, features): resume with the same data and backbone"
                )
            classifier.load_state_dict(saved["classifier"])
            optimizer.load_state_dict(saved["optimizer"])
        self._classifier, self._optimizer = classifier, optimizer
        return classifier, optimizer

    def _labels(self, data_batch: Any, images: int) -> Tensor:
        """Labels of a batch, (N,), int64, on the CPU; UNKNOWN where an image has none.

        Raises:
            ConfigError: In the first iteration, if no image of any rank has one; a label out of range at any time.
        """
        samples = data_batch.get("data_samples") or [None] * images
        found = [None if sample is None else sample.get("gt_label") for sample in samples]
        labels = torch.tensor(
            [UNKNOWN if label is None or label.numel() != 1 else int(label) for label in found]
        ).clamp(min=UNKNOWN)
        if self._first:
            self._first = False
            some = (labels != UNKNOWN).any().long()
            all_reduce(some, op="max")
            if not some:
                raise ConfigError(
                    "LinearProbeHook: no image of the first batch has a label; take a data set whose samples carry one "
                    "gt_label each, and a pipeline that ends with PackInputs"
                )
        if int(labels.max()) >= self.classes:
            raise ConfigError(
                f"LinearProbeHook: an image has the label {int(labels.max())}, and there are {self.classes} classes; "
                "set num_classes of the hook"
            )
        return labels

    # -- figures -------------------------------------------------------------------------------------------------

    def _log(self, runner: Runner) -> None:
        """Hands the accuracy on the training views since the last time to mmengine's log."""
        if self._counts is None:
            return
        right, seen = self._counts.tolist()
        self._counts = None
        if seen:
            runner.message_hub.update_scalar("train/probe_top1", 100.0 * right / seen)

    def measure(self, runner: Runner) -> float | None:
        """Accuracy in percent on the images to test on, if there are any."""
        if self._query is None or self._classifier is None:
            return None
        found = extract_features(runner.model, self._query, tokens=self.tokens)
        if found.labels is None:
            raise ConfigError(
                "LinearProbeHook: the images of query have no labels; use a data set whose samples carry one gt_label "
                "each"
            )
        weight, bias = (p.detach().to(found.features) for p in self._classifier.parameters())
        classes = F.linear(found.features, weight, bias).argmax(1)
        return accuracy(classes, found.labels)

    def settings_in_words(self) -> str:
        """Which classifier."""
        return f"linear, {self.optimizer_config['type']}, {self.classes} classes"

    def _class_count(self, runner: Runner) -> int:
        """As given, or as the training data set names its classes."""
        if self.num_classes is not None:
            return self.num_classes
        dataset = runner.train_dataloader.dataset
        classes = getattr(dataset, "metainfo", {}).get("classes")
        if not classes:
            raise ConfigError(
                f"LinearProbeHook: {type(dataset).__name__} does not name its classes; set num_classes of the hook"
            )
        return len(classes)
