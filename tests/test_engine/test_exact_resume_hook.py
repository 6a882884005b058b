import pytest
import torch
from support.toy_run import ToyModel, toy_runner, weights

from mixssl.engine.hooks import ExactResumeHook
from mixssl.utils.errors import ConfigError

EVERY_FOURTH = {"checkpoint": {"type": "CheckpointHook", "interval": 4, "by_epoch": False}}
EVERY_EPOCH = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run that nobody stopped, its checkpoints by iteration, and by epoch."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    runner = toy_runner(folder, [ExactResumeHook()], default_hooks=EVERY_FOURTH)
    runner.train()
    epochs = tmp_path_factory.mktemp("epochs")
    toy_runner(epochs, [ExactResumeHook()], default_hooks=EVERY_EPOCH).train()
    return runner, folder, epochs


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("iter_4.pth", 2 + 12),  # inside the first epoch
        ("iter_8.pth", 4 + 6),
        ("iter_12.pth", 6),  # after the last iteration of an epoch, before what comes after epochs
    ],
)
def test_resuming_inside_an_epoch_is_as_if_never_stopped(uninterrupted, tmp_path, name, left):
    expected, folder, _ = uninterrupted
    runner = toy_runner(tmp_path, [ExactResumeHook()], load_from=str(folder / name), resume=True)
    runner.train()
    assert runner.iter == 18 and runner.epoch == 3
    assert len(runner.train_dataloader.dataset.seen) == 4 * left
    for key, value in weights(runner).items():
        assert torch.equal(value, weights(expected)[key]), key


def test_resuming_after_an_epoch_is_as_if_never_stopped(uninterrupted, tmp_path):
    expected, _, epochs = uninterrupted
    runner = toy_runner(
        tmp_path, [ExactResumeHook()], load_from=str(epochs / "epoch_2.pth"), resume=True
    )
    runner.train()
    assert all(torch.equal(value, weights(expected)[key]) for key, value in weights(runner).items())


def test_the_seed_of_the_order_is_resumed_where_the_run_drew_it(tmp_path):
    """Without a seed in the config the sampler is built with a fresh one before mmengine restores the run's."""
    settings = {"randomness": {"seed": None}, "default_hooks": EVERY_FOURTH}
    first = toy_runner(tmp_path / "a", [ExactResumeHook()], **settings)
    first.train()
    second = toy_runner(
        tmp_path / "b",
        [ExactResumeHook()],
        load_from=str(tmp_path / "a" / "iter_8.pth"),
        resume=True,
        **settings,
    )
    second.train()
    assert second.train_dataloader.dataset.seen == first.train_dataloader.dataset.seen[4 * 8 :]
    assert all(torch.equal(value, weights(first)[key]) for key, value in weights(second).items())


def test_the_schedule_goes_on(uninterrupted, tmp_path):
    expected, folder, _ = uninterrupted
    runner = toy_runner(
        tmp_path, [ExactResumeHook()], load_from=str(folder / "iter_8.pth"), resume=True
    )
    runner.train()
    assert runner.param_schedulers[0].last_step == expected.param_schedulers[0].last_step
    assert runner.optim_wrapper.get_lr() == expected.optim_wrapper.get_lr()


def test_another_batch_size_inside_an_epoch_is_refused(uninterrupted, tmp_path):
    _, folder, _ = uninterrupted
    resume = {"load_from": str(folder / "iter_8.pth"), "resume": True}
    runner = toy_runner(tmp_path, [ExactResumeHook()], batch_size=2, **resume)
    with pytest.raises(
        ConfigError, match="iteration 8, inside an epoch of 6 iterations of 4 images.*has 12 of 2"
    ):
        runner.train()
    assert runner.iter == 8


def _spoil(folder, tmp_path, change):
    checkpoint = torch.load(folder / "epoch_2.pth", weights_only=False)
    change(checkpoint["state_dict"])
    torch.save(checkpoint, tmp_path / "spoilt.pth")
    return {"load_from": str(tmp_path / "spoilt.pth"), "resume": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("linear.bias"), r"1 missing \(linear.bias\)"),
        (lambda state: state.update({"queue": torch.ones(1)}), r"1 unexpected \(queue\)"),
        (
            lambda state: state.update({"linear.weight": torch.ones(3, 4)}),
            r"1 of another shape \(linear.weight \(3, 4\) instead of \(2, 4\)\)",
        ),
    ],
)
def test_a_checkpoint_that_does_not_match_stops_before_training(
    uninterrupted, tmp_path, change, message
):
    resume = _spoil(uninterrupted[2], tmp_path, change)
    runner = toy_runner(tmp_path / "run", [ExactResumeHook()], **resume)
    with pytest.raises(ConfigError, match=message) as caught:
        runner.train()
    assert "\n" not in str(caught.value)
    assert runner.train_dataloader.dataset.seen == []


def test_weights_alone_may_be_loaded_in_part(uninterrupted, tmp_path):
    start = _spoil(uninterrupted[2], tmp_path, lambda state: state.pop("linear.bias")) | {
        "resume": False
    }
    runner = toy_runner(tmp_path / "run", [ExactResumeHook()], **start)
    runner.train()
    assert runner.iter == 18


def test_a_checkpoint_without_this_hook_resumes_at_its_place(tmp_path):
    toy_runner(tmp_path / "a", [], default_hooks=EVERY_FOURTH).train()
    runner = toy_runner(
        tmp_path / "b",
        [ExactResumeHook()],
        load_from=str(tmp_path / "a" / "iter_8.pth"),
        resume=True,
    )
    runner.train()
    assert runner.iter == 18 and len(runner.train_dataloader.dataset.seen) == 4 * 10


def test_the_loader_has_its_own_sampler_back(uninterrupted, tmp_path):
    _, folder, _ = uninterrupted
    runner = toy_runner(
        tmp_path,
        [ExactResumeHook()],
        model=ToyModel(),
        load_from=str(folder / "iter_4.pth"),
        resume=True,
    )
    runner.train()
    assert runner.train_dataloader.batch_sampler.sampler is runner.train_dataloader.sampler
