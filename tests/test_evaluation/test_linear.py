"""Linear probes on raw digits, where logistic regression says what is right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from mixssl.datasets import Digits
from mixssl.evaluation import (
    accuracy,
    choose_lr,
    fit_linear_probe,
    logistic_regression,
    top_k_accuracy,
)


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Raw pixels in [0, 1] and labels, to train on and to test on."""
    parts: list[Tensor] = []
    for split in ("train", "test"):
        dataset = Digits(split, size=8)
        images = np.stack([dataset.get_data_info(i)["img"][..., 0] for i in range(len(dataset))])
        parts.append(torch.from_numpy(images).flatten(1).float() / 255)
        parts.append(torch.from_numpy(dataset.get_gt_labels()))
    return parts[0], parts[1], parts[2], parts[3]


def test_probe_is_within_half_a_point_of_logistic_regression(
    digits: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    x, y, queries, answers = digits
    settings = Config.fromfile("configs/_base_/datasets/digits.py").linear_probe
    ours = accuracy(fit_linear_probe(x, y, **settings).predict(queries), answers)
    theirs = accuracy(logistic_regression(x, y, queries), answers)
    assert theirs > 96
    assert abs(ours - theirs) <= 0.5


def test_standardised_probe_minimises_what_logistic_regression_does(
    digits: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    x, y, queries, answers = digits
    decay = 1e-4
    probe = fit_linear_probe(x, y, batch_size=26, standardize=True, weight_decay=decay, epochs=200)
    ours = accuracy(probe.predict(queries), answers)
    # The mean loss with decay is N times the sum with scikit-learn's 1 / (2 C) as the penalty's weight.
    same_penalty = logistic_regression(x, y, queries, inverse_l2=1 / (len(x) * decay))
    assert abs(ours - accuracy(same_penalty, answers)) <= 0.5


def test_logistic_regression_is_scikit_learns(
    digits: tuple[Tensor, Tensor, Tensor, Tensor],
) -> None:
    x, y, queries, _ = digits
    mean, std = x.numpy().mean(0), x.numpy().std(0)
    std[std == 0] = 1
    model = LogisticRegression(max_iter=2000).fit((x.numpy() - mean) / std, y.numpy())
    expected = model.predict((queries.numpy() - mean) / std)
    agree = (logistic_regression(x, y, queries).numpy() == expected).mean()
    assert agree > 0.995


def test_one_epoch_is_one_adam_step_by_hand() -> None:
    # Adam's first step has the length lr against the sign of the gradient, whatever its size.
    x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1])
    probe = fit_linear_probe(x, y, epochs=1, batch_size=2, weight_decay=0.0, lr=0.01)
    assert probe.weight.numpy() == pytest.approx(0.01 * np.array([[1, -1], [-1, 1]]), rel=1e-4)
    assert probe.bias.numpy() == pytest.approx(np.zeros(2), abs=1e-7)
    assert probe.predict(x).tolist() == [0, 1]


def test_seed_fixes_the_result_and_the_global_state_is_left_alone() -> None:
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    y = torch.arange(60) % 3
    settings: dict[str, Any] = {"epochs": 3, "batch_size": 16}
    torch.manual_seed(5)
    before, kept = torch.get_rng_state(), x.clone()
    with torch.no_grad():
        first, again = (fit_linear_probe(x, y, seed=1, **settings) for _ in range(2))
    other = fit_linear_probe(x, y, seed=2, **settings)
    assert first.weight.equal(again.weight)
    assert not first.weight.equal(other.weight)
    assert torch.get_rng_state().equal(before)
    assert x.equal(kept)
    assert not first.weight.requires_grad


def test_batches_are_of_1000_whatever_the_set() -> None:
    """As in the protocol's code; 5,000 images, STL-10's, are five steps an epoch."""
    x = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    y = torch.arange(5000) % 2
    plain, same, other = (
        fit_linear_probe(x, y, epochs=2, **settings).weight
        for settings in ({}, {"batch_size": 1000}, {"batch_size": 100})
    )
    assert plain.equal(same)
    assert not plain.equal(other)


def test_standardising_frees_from_scale_and_constant_dimensions() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.cat([torch.randn(90, 4, generator=g), torch.full((90, 1), 3.0)], 1)
    y = (x[:, 0] > 0).long()
    scaled = x * torch.tensor([1e3, 1.0, 1e-3, 1.0, 1.0])
    probes = [fit_linear_probe(part, y, epochs=40, standardize=True) for part in (x, scaled)]
    assert probes[0].predict(x).equal(probes[1].predict(scaled))
    assert all(bool(probe.weight.isfinite().all()) for probe in probes)


def test_the_learning_rate_is_chosen_without_the_test_set() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(200, 6, generator=g)
    y = (x @ torch.randn(6, 3, generator=g)).argmax(1)
    best, found = choose_lr(x, y, [10.0, 0.05, 0.01], epochs=5)
    assert list(found) == [10.0, 0.05, 0.01] and len(set(found.values())) > 1
    assert found[best] == max(found.values())
    # By hand: a tenth, drawn from the seed, is judged by a probe of the rest.
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    judged, rest = order[:20], order[20:]
    probe = fit_linear_probe(x[rest], y[rest], epochs=5, lr=0.05, lr_end=0.05e-4)
    assert found[0.05] == pytest.approx(accuracy(probe.predict(x[judged]), y[judged]))


def test_top_k_by_hand() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5], [3.0, 2.0, 1.0]])
    labels = torch.tensor([2, 2])
    assert [top_k_accuracy(scores, labels, k) for k in (1, 2, 3, 5)] == [0.0, 50.0, 100.0, 100.0]
    assert top_k_accuracy(scores, torch.tensor([1, 7])) == 50.0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"lrs": []}, "0 learning rates"),
        ({"held_out": 0.0}, "0.0 of 4"),
        ({"held_out": 1.0}, "1.0 of 4"),
    ],
)
def test_a_sweep_that_can_not_work_is_named(changes: dict[str, Any], named: str) -> None:
    settings = {"features": torch.ones(4, 3), "labels": torch.arange(4), "lrs": [0.1], **changes}
    with pytest.raises(ValueError, match=named):
        choose_lr(**settings)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"labels": None}, "no labels"),
        ({"labels": torch.zeros(3, dtype=torch.int64)}, "must be"),
        ({"features": torch.zeros(0, 3), "labels": torch.zeros(0, dtype=torch.int64)}, "must be"),
        ({"labels": torch.tensor([0, -1])}, "integers >= 0"),
        ({"epochs": 0}, "epochs 0"),
        ({"lr_end": 0.0}, "lr_end 0.0"),
    ],
)
def test_bad_input_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        fit_linear_probe(
            **{"features": torch.ones(2, 3), "labels": torch.tensor([0, 1]), **changes}
        )
