"""The classifier that learns from any mixer against a transcription: pixels mixed, labels shared, by rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper
from support.classifiers import CLASSES, amix, labelled, plain, targets
from support.tiny import build, sgd, total
from torch import Tensor
from torch.nn import functional as F

from mixssl.mixing import StepRandom

PIXELS = ["MixUp", "CutMix", "SaliencyMix", "FMix", "ResizeMix", "PuzzleMix", "UnMix", "MixCo"]
ALL = [*PIXELS, "ManifoldMix", "ClusterPuzzleMix", "InterIntra"]


def _config(name: str, **changes: Any) -> dict:
    mixer = {"type": f"mixssl.{name}"} | changes
    return plain(type="mixssl.MixClassifier", mixer=mixer, seed=0)


def _expected(model: Any, logits: Tensor, mixture: Any) -> Tensor:
    """Cross-entropy with the mixed labels, row by row."""
    labels, rows = targets(), []
    for i, lam in enumerate(mixture.lam):
        own, other = labels[mixture.index[i]], labels[mixture.partner[i]]
        label = lam * F.one_hot(own, CLASSES) + (1 - lam) * F.one_hot(other, CLASSES)
        rows.append(-(label * logits[i].log_softmax(0)).sum())
    return torch.stack(rows).mean()


def test_without_a_mixer_it_is_mmpretrains_classifier() -> None:
    ours, parent = build(plain(type="mixssl.MixClassifier")), build(plain())
    wrappers = [OptimWrapper(sgd(model)) for model in (ours, parent)]
    for step in range(3):
        logs = [
            model.train_step(labelled(seed=step), wrapper)
            for model, wrapper in zip((ours, parent), wrappers, strict=True)
        ]
        assert torch.equal(logs[0]["loss"], logs[1]["loss"])
    found = ours.state_dict()
    assert found.keys() == parent.state_dict().keys()
    assert all(torch.equal(value, found[key]) for key, value in parent.state_dict().items())


@pytest.mark.parametrize("name", PIXELS)
def test_a_mixture_of_pixels_has_both_labels(name: str) -> None:
    model, data = build(_config(name)), labelled()
    before = data["inputs"].clone()
    losses = model(**data, mode="loss")
    (mixture,) = model.mixer([data["inputs"]], StepRandom(0)())
    expected = _expected(model, model(mixture.images), mixture)
    assert losses.keys() == {"loss_mix"}
    assert torch.allclose(losses["loss_mix"], expected, atol=1e-6)
    assert torch.equal(data["inputs"], before)


def test_hidden_features_are_mixed_behind_the_layer_drawn() -> None:
    model, data = build(_config("ManifoldMix", layers=("layer2",))), labelled()
    found = model(**data, mode="loss")["loss_mix"]
    (mixture,) = model.mixer([data["inputs"]], StepRandom(0)())
    body, lam = model.backbone, mixture.lam.view(-1, 1, 1, 1)
    z = body.layer2(body.layer1(body.relu(body.norm1(body.conv1(data["inputs"])))))
    z = body.layer4(body.layer3(lam * z + (1 - lam) * z[mixture.partner]))
    logits = model.head.fc(z.mean((2, 3)))
    assert torch.allclose(found, _expected(model, logits, mixture), atol=1e-6)


def test_salience_is_the_gradient_of_the_loss_and_leaves_no_trace() -> None:
    model, data = build(_config("ClusterPuzzleMix")), labelled()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    saliency = model.image_saliency(data["inputs"], data["data_samples"])
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())

    pixels = data["inputs"].clone().requires_grad_()
    logits = model.head.fc(model.backbone(pixels)[-1].mean((2, 3)))
    F.cross_entropy(logits, targets()).backward()
    expected = torch.sqrt((pixels.grad**2).mean(1))
    assert torch.allclose(saliency, expected, rtol=1e-4) and saliency.min() >= 0

    (deferred,) = model.mixer([data["inputs"]], StepRandom(0)())
    mixture = deferred.render(targets(), lambda images: expected)
    found = build(_config("ClusterPuzzleMix"))(**data, mode="loss")["loss_mix"]
    assert torch.allclose(found, _expected(model, model(mixture.images), mixture), atol=1e-5)


def test_images_of_one_class_are_blended_and_those_of_two_cut() -> None:
    model, data = build(_config("InterIntra", p_intra=1.0)), labelled(batch=10)
    made: list[Any] = []
    render = model._made
    model._made = lambda *args: made.append(render(*args)) or made[-1]
    model(**data, mode="loss")
    labels, (mixture,) = targets(10), made
    same = labels[mixture.index] == labels[mixture.partner]
    soft = ((mixture.mask > 0) & (mixture.mask < 1)).flatten(1).all(1)
    assert same.any() and torch.equal(same, soft)


@pytest.mark.parametrize("name", ALL)
def test_every_policy_trains_all_of_the_classifier(name: str) -> None:
    model = build(_config(name))
    total(model(**labelled(), mode="loss")).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    assert len(model.eval().test_step(labelled())) == 8
    again = build(_config(name), seed=1)
    again.load_state_dict(model.state_dict())
    assert again.random.steps == 1, "a resumed run goes on with the next draws"


def test_scores_are_mixed_as_labels_are() -> None:
    scores = F.one_hot(targets(), CLASSES).float()
    losses = [
        build(_config("CutMix"))(**labelled(scores=given), mode="loss")["loss_mix"]
        for given in (scores, None)
    ]
    assert torch.allclose(*losses)
    with pytest.raises(ValueError, match="asks for a class per image and the batch has scores"):
        build(_config("ClusterPuzzleMix"))(**labelled(scores=scores), mode="loss")


def test_a_classifier_with_a_block_that_is_switched_off_takes_a_mixer() -> None:
    ours = build(amix(mix_block=None, mixer={"type": "mixssl.CutMix"}))
    assert torch.equal(
        ours(**labelled(), mode="loss")["loss_mix"],
        build(_config("CutMix"))(**labelled(), mode="loss")["loss_mix"],
    )


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (_config("AMix"), "can't train by itself: choose a policy"),
        (_config("MultiScale", mixer={"type": "mixssl.UnMix"}), "choose a policy"),
        (_config("ManifoldMix", layers=("layer9",)), "'layer9' and ResNet_CIFAR has no such"),
        (amix(mixer={"type": "mixssl.CutMix"}), "both set.*set one to None"),
    ],
)
def test_what_can_not_be_trained_is_refused_in_one_line(cfg: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        build(cfg)
    assert "\n" not in str(refusal.value)
