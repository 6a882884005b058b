import multiprocessing
import os
import signal
import time

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS as ROOT_HOOKS
from support.toy_run import toy_runner, weights

from mixssl.engine.hooks import ExactResumeHook, GracefulStopHook
from mixssl.engine.hooks.graceful_stop_hook import _resume_command


class SignalAt(Hook):
    """Sends this process a signal at an iteration, or after an epoch."""

    def __init__(self, number=signal.SIGTERM, iteration=None, epoch=None):
        self.number, self.iteration, self.epoch = number, iteration, epoch

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), self.number)

    def after_train_epoch(self, runner):
        if runner.epoch + 1 == self.epoch:
            os.kill(os.getpid(), self.number)


@pytest.fixture(autouse=True)
def _own_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _hooks(*more):
    return [ExactResumeHook(), GracefulStopHook(), *more]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    runner = toy_runner(tmp_path_factory.mktemp("expected"), _hooks())
    runner.train()
    return weights(runner)


@pytest.mark.parametrize(
    ("at", "number", "code", "iteration", "epoch"),
    [
        ({"iteration": 8}, signal.SIGTERM, 143, 8, 1),
        ({"iteration": 1}, signal.SIGINT, 130, 1, 0),
        ({"iteration": 12}, signal.SIGTERM, 143, 12, 1),  # the epoch's hooks have not run yet
        ({"epoch": 1}, signal.SIGINT, 130, 6, 1),
        ({"iteration": 18}, signal.SIGTERM, 143, 18, 2),
    ],
)
def test_a_stopped_run_continues_to_the_same_end(
    tmp_path, expected, at, number, code, iteration, epoch
):
    stopped = toy_runner(tmp_path / "a", _hooks(SignalAt(number, **at)))
    with pytest.raises(SystemExit) as caught:
        stopped.train()
    assert caught.value.code == code
    path = tmp_path / "a" / "interrupted.pth"
    assert (tmp_path / "a" / "last_checkpoint").read_text() == str(path)
    meta = torch.load(path, weights_only=False)["meta"]
    assert (meta["iter"], meta["epoch"]) == (iteration, epoch)

    resumed = toy_runner(tmp_path / "b", _hooks(), load_from=str(path), resume=True)
    resumed.train()
    assert (resumed.iter, resumed.epoch) == (18, 3)
    assert all(torch.equal(value, expected[key]) for key, value in weights(resumed).items())
    assert (tmp_path / "b" / "epoch_3.pth").is_file()


def test_gradients_that_wait_for_a_step_are_not_lost(tmp_path):
    optim_wrapper = {"optimizer": {"type": "SGD", "lr": 0.05}, "accumulative_counts": 3}
    runner = toy_runner(tmp_path, _hooks(SignalAt(iteration=7)), optim_wrapper=optim_wrapper)
    with pytest.raises(SystemExit):
        runner.train()
    assert torch.load(tmp_path / "interrupted.pth", weights_only=False)["meta"]["iter"] == 9


def test_signals_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    toy_runner(tmp_path, _hooks(), train_cfg={"by_epoch": True, "max_epochs": 1}).train()
    assert signal.getsignal(signal.SIGTERM) is before
    assert not (tmp_path / "interrupted.pth").exists()


def test_an_echo_of_the_signal_is_not_a_second_one(monkeypatch):
    hook, sent = GracefulStopHook(), []
    clock = iter([10.0, 10.5, 12.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(os, "kill", lambda process, number: sent.append((process, number)))
    monkeypatch.setattr(os, "write", lambda descriptor, text: None)
    hook._on_signal(signal.SIGTERM, None)
    hook._on_signal(signal.SIGTERM, None)
    assert sent == []
    hook._on_signal(signal.SIGTERM, None)
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_forked_worker_leaves_signals_alone(monkeypatch):
    hook = GracefulStopHook()
    monkeypatch.setattr(os, "getpid", lambda: -1)
    hook._on_signal(signal.SIGTERM, None)
    assert hook._signal == 0


def test_loaders_tell_their_workers(tmp_path):
    runner = toy_runner(
        tmp_path, [GracefulStopHook()], train_cfg={"by_epoch": True, "max_epochs": 1}
    )
    runner.train()
    assert runner.train_dataloader.worker_init_fn.func.__module__ == "mixssl.engine.data_workers"


@pytest.mark.parametrize(
    ("argv", "command"),
    [
        (["train.py", "c.py"], "python train.py c.py --resume w/i.pth"),
        (["train.py", "c.py", "--resume"], "python train.py c.py --resume w/i.pth"),
        (["train.py", "--resume", "x.pth", "--amp"], "python train.py --amp --resume w/i.pth"),
        (["train.py", "c.py", "--resume=x.pth"], "python train.py c.py --resume w/i.pth"),
        (
            ["train.py", "--resume", "--amp", "c d.py"],
            "python train.py --amp 'c d.py' --resume w/i.pth",
        ),
    ],
)
def test_the_command_that_continues(argv, command):
    assert _resume_command(argv, "w/i.pth") == command


def test_interval_must_be_positive():
    with pytest.raises(ValueError, match="interval is 0 and must be at least 1"):
        ROOT_HOOKS.build({"type": "mixssl.GracefulStopHook", "interval": 0})


class PoolAt(Hook):
    """Hands work to pools in the middle of training, as mmdet does to measure AP on VOC."""

    found = None

    def after_train_epoch(self, runner):
        for work in (
            [-1, 2, -3],
            *[[]] * 10,
        ):  # without work it ends while its workers are being forked
            pool = multiprocessing.get_context("fork").Pool(2)
            self.found = pool.map(abs, work) or self.found
            pool.terminate()  # which sends SIGTERM, and waits
            pool.join()


def test_a_pool_of_processes_ends_when_it_is_done(tmp_path):
    before, hook = signal.getsignal(signal.SIGALRM), PoolAt()

    def give_up(number, frame):
        for child in multiprocessing.active_children():
            child.kill()
        raise TimeoutError("the pool waits for workers that ignore SIGTERM")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(30)
    try:
        toy_runner(tmp_path, _hooks(hook)).train()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert hook.found == [1, 2, 3]
    assert (tmp_path / "epoch_3.pth").is_file()
