import pytest
import torch
from mmengine.registry import HOOKS as ROOT_HOOKS
from support.ddp import run_ranks
from support.toy_run import ToyModel, toy_runner

from mixssl.engine.hooks import StopOnNonFiniteLossHook
from mixssl.utils.errors import NonFiniteLossError

EVERY_STEP = {"type": "CheckpointHook", "interval": 1, "by_epoch": False}


@pytest.mark.parametrize("interval", [1, 50])
def test_stops_at_the_step_and_keeps_the_last_good_checkpoint(tmp_path, interval):
    # Iterations count from 0 in the model and from 1 in what is said: the 9th, third of the second epoch.
    runner = toy_runner(tmp_path, [StopOnNonFiniteLossHook(interval)], model=ToyModel(nan_at=8))
    with pytest.raises(NonFiniteLossError) as caught:
        runner.train()
    message = str(caught.value)
    assert message.startswith("loss_mix is nan at iteration 9 (epoch 2, step 3 of 6); ")
    assert str(tmp_path / "epoch_1.pth") in message and "learning rate (now 0.0" in message
    assert "\n" not in message
    assert [path.name for path in tmp_path.glob("*.pth")] == ["epoch_1.pth"]
    state = torch.load(tmp_path / "epoch_1.pth", weights_only=False)["state_dict"]
    assert all(value.isfinite().all() for value in state.values())


def test_a_checkpoint_of_another_run_in_the_folder_is_not_this_runs(tmp_path):
    toy_runner(tmp_path, [], train_cfg={"by_epoch": True, "max_epochs": 1}).train()
    runner = toy_runner(tmp_path, [StopOnNonFiniteLossHook(1)], model=ToyModel(nan_at=2))
    with pytest.raises(NonFiniteLossError, match="no checkpoint had been written yet: start again"):
        runner.train()
    resumed = toy_runner(
        tmp_path, [StopOnNonFiniteLossHook(1)], model=ToyModel(nan_at=2), resume=True
    )
    with pytest.raises(NonFiniteLossError, match="last good checkpoint is .*epoch_1.pth: continue"):
        resumed.train()


def test_no_checkpoint_of_a_bad_step_when_every_step_is_saved(tmp_path):
    runner = toy_runner(
        tmp_path,
        [StopOnNonFiniteLossHook()],
        model=ToyModel(nan_at=2),
        default_hooks={"checkpoint": EVERY_STEP},
    )
    with pytest.raises(NonFiniteLossError, match="iteration 3 .*iter_2.pth"):
        runner.train()
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["iter_1.pth", "iter_2.pth"]


def test_weights_spoilt_by_a_step_whose_loss_was_finite_are_not_saved(tmp_path):
    runner = toy_runner(tmp_path, [StopOnNonFiniteLossHook()], model=ToyModel(spoil_at=5))
    with pytest.raises(
        NonFiniteLossError, match="weights are no longer finite .* no checkpoint had been"
    ):
        runner.train()
    assert list(tmp_path.glob("*.pth")) == []


def test_a_good_run_is_left_alone(tmp_path):
    runner = toy_runner(tmp_path, [{"type": "mixssl.StopOnNonFiniteLossHook", "interval": 2}])
    runner.train()
    assert (tmp_path / "epoch_3.pth").is_file()


def test_reads_the_device_only_at_its_interval(tmp_path, monkeypatch):
    hook = StopOnNonFiniteLossHook(interval=4)
    read = []
    monkeypatch.setattr(hook, "_check_losses", lambda runner: read.append(runner.iter))
    monkeypatch.setattr(hook, "_check_weights", lambda runner: None)
    toy_runner(tmp_path, [hook], train_cfg={"by_epoch": True, "max_epochs": 1}).train()
    assert read == [3, 6]  # the fourth iteration, and before the checkpoint of the epoch


def test_infinite_loss_without_terms_is_named():
    hook = StopOnNonFiniteLossHook()
    hook._note({"loss": torch.tensor(1.0), "accuracy": torch.tensor(float("nan"))}, 0)
    assert hook._first.tolist() == [torch.iinfo(torch.int64).max]
    hook._note({"loss": torch.tensor(float("inf"))}, 1)
    hook._note({"loss": torch.tensor(float("nan"))}, 2)
    assert hook._first.tolist() == [1]
    assert hook._value.tolist() == [float("inf")]


@pytest.mark.parametrize("interval", [0, -1])
def test_interval_must_be_positive(interval):
    with pytest.raises(ValueError, match=f"interval is {interval} and must be at least 1"):
        ROOT_HOOKS.build({"type": "mixssl.StopOnNonFiniteLossHook", "interval": interval})


class _Runner:
    """What the hook reads of a runner."""

    work_dir = "/nowhere"
    train_dataloader = (0, 1, 2, 3)
    iter = 9
    hooks = ()
    _resume = False

    class optim_wrapper:  # noqa: N801
        @staticmethod
        def get_lr():
            return {"lr": [0.5]}


def _nan_on_rank_one(rank):
    hook = StopOnNonFiniteLossHook()
    for step in range(10):
        bad = rank == 1 and step == 6
        hook._note(
            {
                "loss_clean": torch.tensor(1.0),
                "loss_mix": torch.tensor(float("nan") if bad else 1.0),
            },
            step,
        )
    try:
        hook._check_losses(_Runner())
    except NonFiniteLossError as error:
        return torch.tensor(
            ["loss_mix" in str(error), "iteration 7" in str(error), "another rank" in str(error)]
        )
    return torch.zeros(3)


def test_all_ranks_stop_if_one_does():
    first, second = run_ranks(_nan_on_rank_one)
    assert first.tolist() == [True, True, True]
    assert second.tolist() == [True, True, False]


@pytest.mark.parametrize(("at", "blamed"), [(2, True), (4, False)])
def test_images_that_are_no_numbers_are_blamed_before_the_learning_rate(tmp_path, at, blamed):
    runner = toy_runner(tmp_path, [StopOnNonFiniteLossHook()], model=ToyModel(nan_at=3))
    hook = next(hook for hook in runner.hooks if isinstance(hook, StopOnNonFiniteLossHook))
    bad = {"inputs": [torch.full((4, 3, 2, 2), float("nan"))]}
    note = hook.after_train_iter

    def with_images(runner, batch_idx, data_batch=None, outputs=None):
        note(runner, batch_idx, bad if runner.iter == at else {}, outputs)

    hook.after_train_iter = with_images
    with pytest.raises(NonFiniteLossError) as caught:
        runner.train()
    message = str(caught.value)
    assert ("learning rate" in message) != blamed
    named = "pixels of row 0 of the batch, row 1 of the batch, row 2 of the batch and 1 more in the"
    assert (f"{named} batch of iteration 3 are NaN or infinite" in message) == blamed
