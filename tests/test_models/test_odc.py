"""The memory of online deep clustering: each step against a plain transcription, and its promises."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.structures import BaseDataElement
from support.ddp import run_ranks
from torch import Tensor
from torch.nn import functional as F

from mixssl.models.memory import ODC

IMAGES, DIM, K = 60, 4, 5


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _features(seed: int = 0, count: int = IMAGES) -> Tensor:
    return torch.randn(count, DIM, generator=_generator(seed))


def _memory(**changes: Any) -> ODC:
    """Filled, with clusters of 12 images each."""
    settings = {"num_images": IMAGES, "feat_dim": DIM, "num_clusters": K, "min_size": 2, "seed": 0}
    memory = ODC(**(settings | changes))
    memory.start(_features(count=memory.num_images), torch.arange(memory.num_images) % K)
    return memory


def _step(memory: ODC, seed: int, size: int = 8) -> None:
    index = torch.randperm(memory.num_images, generator=_generator(seed))[:size]
    memory.stage(_features(100 + seed, size), index)
    memory.commit()


def _buffers(memory: ODC) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in memory.state_dict().items()}


def _assert_whole(memory: ODC) -> None:
    """Sizes are those of the labels, features have length one."""
    assert torch.equal(memory.sizes, memory.labels.bincount(minlength=memory.num_clusters))
    assert torch.allclose(
        memory.features.float().norm(dim=1), torch.ones(memory.num_images), atol=2e-3
    )


def test_a_step_by_hand() -> None:
    memory = ODC(num_images=4, feat_dim=2, num_clusters=2, min_size=1, seed=0)
    memory.start(
        torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]]), torch.tensor([0, 0, 1, 1])
    )
    assert memory.features.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]
    assert memory.centroids.tolist() == [[1, 0], [0, 1]]
    # Half-way from (1, 0) to (-0.6, 0.8) is (0.2, 0.4), nearer to (0, 1); to (0.8, 0.6) it stays.
    memory.stage(torch.tensor([[-3.0, 4.0], [8.0, 6.0]]), torch.tensor([1, 0]))
    memory.commit()
    moved = torch.tensor([[1.8, 0.6], [0.2, 0.4]])
    assert torch.allclose(memory.features[:2], F.normalize(moved, dim=1))
    assert memory.labels.tolist() == [0, 1, 1, 1] and memory.sizes.tolist() == [1, 3]
    assert memory.centroids.tolist() == [[1, 0], [0, 1]], "not yet their turn"


@pytest.mark.parametrize("half", [False, True])
def test_steps_are_those_of_a_plain_transcription(half: bool) -> None:
    memory = _memory(centroid_interval=3, momentum=0.3, min_size=1, half=half)
    bank, labels = memory.features.float().clone(), memory.labels.clone()
    centroids = torch.stack([bank[labels == k].mean(dim=0) for k in range(K)])
    for step in range(2, 9):  # the start was the first draw
        index = torch.randperm(IMAGES, generator=_generator(step))[:8]
        new = _features(50 + step, 8)
        memory.stage(new, index)
        memory.commit()
        for row, place in zip(new, index.tolist(), strict=True):
            mixed = 0.7 * bank[place] + 0.3 * row / row.norm()
            bank[place] = (mixed / mixed.norm()).to(memory.features.dtype).float()
            labels[place] = (mixed / mixed.norm() - centroids).norm(dim=1).argmin()
        if step % 3 == 0:
            centroids = torch.stack([bank[labels == k].mean(dim=0) for k in range(K)])
        assert torch.equal(memory.labels, labels)
        assert torch.allclose(memory.features.float(), bank, atol=2e-3 if half else 1e-6)
        assert torch.allclose(memory.centroids, centroids, atol=2e-3 if half else 1e-6)
    assert memory.features.dtype == (torch.float16 if half else torch.float32)
    _assert_whole(memory)


def test_of_a_repeated_image_the_first_counts() -> None:
    one, two = _memory(), _memory()
    rows, index = _features(1, 4), torch.tensor([3, 7, 3, 9])
    one.stage(rows, index)
    two.stage(rows[[0, 1, 3]], index[[0, 1, 3]])
    one.commit()
    two.commit()
    for name in ("features", "labels", "sizes", "centroids"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    _assert_whole(one)


def test_nothing_is_written_before_the_step() -> None:
    memory = _memory()
    before = _buffers(memory)
    memory.stage(_features(1, 8), torch.arange(8))
    memory.stage(_features(2, 8), torch.arange(8, 16))
    assert all(torch.equal(value, before[name]) for name, value in memory.state_dict().items())
    memory.commit()
    changed = (memory.features != before["features"]).any(dim=1)
    assert changed[:16].all() and not changed[16:].any()
    after = _buffers(memory)
    memory.commit()
    assert all(torch.equal(value, after[name]) for name, value in memory.state_dict().items())


def test_what_is_kept_is_bounded() -> None:
    memory = _memory()
    for seed in range(50):
        memory.stage(_features(seed, 8), torch.arange(8))
    assert sum(len(index) for _, index in memory._staged) <= IMAGES


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_mean_of_the_weights_over_the_images_is_one(power: float) -> None:
    memory = _memory(weight_power=power)
    memory.labels.copy_(torch.cat([torch.zeros(40), torch.ones(15), torch.full((5,), 3)]).long())
    memory.sizes.copy_(memory.labels.bincount(minlength=K))
    weights = memory.weights()
    assert torch.allclose(weights[memory.labels].mean(), torch.tensor(1.0))
    assert torch.allclose(weights[1] / weights[0], torch.tensor((40 / 15) ** power))
    assert weights.isfinite().all(), "an empty cluster too"


def test_the_loss_is_a_weighted_cross_entropy() -> None:
    memory = _memory(temperature=0.5)
    _step(memory, 0, 30)
    embedding = _features(3, 6).requires_grad_()
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    loss = memory.cross_entropy(memory.logits(embedding), labels)
    unit = embedding / embedding.norm(dim=1, keepdim=True)
    scores = (unit @ memory.classifier.weight.t() + memory.classifier.bias) / 0.5
    mean = (memory.sizes * memory.sizes.float() ** -0.5).sum() / IMAGES
    expected = -scores.log_softmax(dim=1)[range(6), labels] * memory.sizes[labels] ** -0.5 / mean
    assert torch.allclose(loss, expected, atol=1e-6)
    loss.mean().backward()
    assert embedding.grad.isfinite().all() and memory.classifier.weight.grad.abs().sum() > 0


def test_small_clusters_are_merged_and_the_largest_is_split() -> None:
    memory = _memory(min_size=5)
    groups = torch.eye(4).repeat_interleave(torch.tensor([30, 20, 7, 3]), dim=0)
    labels = torch.tensor([0, 1, 2, 3]).repeat_interleave(torch.tensor([30, 20, 7, 3]))
    noise = 0.05 * _features()
    memory.start(groups + noise, labels)  # cluster 3 is too small, 4 is empty
    _assert_whole(memory)
    assert memory.sizes.min() >= 5
    halves = [set(part.tolist()) for part in memory.labels.split([30, 20, 7, 3])]
    assert {0, 3} <= halves[0], "the largest is split for the first of the small ones"
    assert 4 in halves[0] | halves[1] and halves[1] <= {1, 4} and halves[2] == {2}
    for cluster in (3, 4):
        own = memory.features[memory.labels == cluster].mean(dim=0)
        assert torch.allclose(memory.centroids[cluster], own, atol=1e-6)


def test_clusters_stay_alive() -> None:
    """Features that all become alike would leave one cluster; K of at least the smallest size remain."""
    memory = _memory(min_size=6, centroid_interval=2)
    common = torch.ones(DIM)
    for step in range(40):
        index = torch.randperm(IMAGES, generator=_generator(step))[:20]
        memory.stage(common + 0.1 * _features(step, 20), index)
        memory.commit()
        _assert_whole(memory)
    memory._mend(_generator(0))
    assert memory.sizes.min() >= 6
    _assert_whole(memory)


def test_small_clusters_are_looked_for_at_the_interval() -> None:
    memory = _memory(min_size=4, small_interval=5)
    memory.labels[memory.labels == 2] = 1
    memory.sizes.copy_(memory.labels.bincount(minlength=K))
    for step in range(2, 5):
        _step(memory, step, 1)
        assert memory.sizes[2] < 4
    _step(memory, 5, 1)
    assert memory.sizes[2] >= 3


def test_same_seed_same_clusters_and_no_other_source_of_chance() -> None:
    def run(seed: int) -> dict[str, Tensor]:
        memory = _memory(min_size=9, centroid_interval=2, seed=seed)
        for step in range(12):
            _step(memory, step, 20)
        return {
            name: memory.state_dict()[name].clone() for name in ("features", "labels", "centroids")
        }

    state = torch.get_rng_state()
    torch.manual_seed(1)
    one = run(3)
    torch.manual_seed(2)
    two = run(3)
    torch.set_rng_state(state)
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["labels"], run(4)["labels"])


def test_a_loaded_memory_goes_on_as_the_saved_one() -> None:
    memory = _memory(min_size=9, centroid_interval=3)
    for step in range(7):
        _step(memory, step, 20)
    other = ODC(IMAGES, DIM, K, min_size=9, centroid_interval=3)
    assert not other.is_filled
    other.load_state_dict(memory.state_dict())
    assert other.is_filled
    for step in range(7, 20):
        _step(memory, step, 20)
        _step(other, step, 20)
    for name, value in memory.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def _on_ranks(rank: int, world: int) -> dict[str, Tensor]:
    memory = _memory(min_size=9, centroid_interval=3)
    for step in range(10):
        index = torch.randperm(IMAGES, generator=_generator(step))[:16]
        index[15] = index[0]  # as where a sampler fills up the ranks
        rows = slice(rank * 16 // world, (rank + 1) * 16 // world)
        memory.stage(_features(step, 16)[rows], index[rows])
        memory.commit()
    return {name: value for name, value in memory.state_dict().items() if "classifier" not in name}


def test_two_ranks_hold_what_one_process_holds() -> None:
    expected = _on_ranks(0, 1)
    for found in run_ranks(_on_ranks, 2):
        assert all(torch.equal(value, expected[name]) for name, value in found.items())


def _sample(place: int | None) -> BaseDataElement:
    return BaseDataElement(metainfo={} if place is None else {"sample_idx": place})


def test_images_are_found_by_their_place() -> None:
    memory = _memory()
    index = memory.index_of([_sample(4), _sample(0), _sample(59)])
    assert index.tolist() == [4, 0, 59] and index.dtype == torch.int64


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (None, "data_samples are missing.*have PackInputs pack it"),
        ([_sample(1), _sample(None)], "data_samples lack sample_idx.*meta_keys"),
        ([_sample(60)], "sample_idx is 60 and the memory of ODC holds 60 images: set num_images"),
    ],
)
def test_samples_without_a_place_are_refused(samples: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _memory().index_of(samples)


def test_an_empty_memory_is_refused() -> None:
    message = r"memory of ODC is empty: add default_hooks=dict\(odc=dict\(type='mixssl.ODCHook'\)\)"
    with pytest.raises(ValueError, match=message):
        ODC(IMAGES, DIM, K, min_size=2).index_of([_sample(0)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"momentum": 0.0}, "momentum of ODC is 0.0 and must lie in"),
        ({"num_clusters": 1}, "num_clusters of ODC is 1 and must be >= 2"),
        ({"min_size": 0}, "min_size of ODC is 0 and must be >= 1"),
        ({"centroid_interval": 0}, "centroid_interval of ODC is 0"),
        ({"small_interval": 0}, "small_interval of ODC is 0"),
        ({"weight_power": -1.0}, "weight_power of ODC is -1.0"),
        ({"temperature": 0.0}, "temperature of ODC is 0.0"),
        ({"loss_weight": 0.0}, "loss_weight of ODC is 0.0"),
        ({"num_clusters": 61, "min_size": 1}, "num_images of ODC is 60, too few for 61 clusters"),
        ({"min_size": 13}, "too few for 5 clusters of 13: lower num_clusters to 4"),
    ],
)
def test_arguments_out_of_range_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _memory(**changes)


def test_what_does_not_fit_is_not_started_with() -> None:
    memory = _memory()
    with pytest.raises(ValueError, match="got features .59, 4.*set num_images"):
        memory.start(_features(0, 59), torch.zeros(59, dtype=torch.int64))
    with pytest.raises(ValueError, match="labels from 0 to 5 and they must lie in .0, 5.: set"):
        memory.start(_features(), torch.arange(60) % 6)
