"""tools/train.py from the command line: stop and resume, a loss that blows up, and every line about bad input."""

import json
import signal

import pytest
import torch
from mmengine.config import Config
from support.tools import call_tool, start_tool, write_tiny

from mixssl.cli.train import batch_note, latest_checkpoint


@pytest.fixture(autouse=True)
def _own_handlers():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """Work directory of a run that nobody stopped."""
    work_dir = tmp_path_factory.mktemp("finished")
    assert call_tool("train", tiny, "--work-dir", work_dir) == 0
    return work_dir


def _state(path):
    return torch.load(path, weights_only=False)["state_dict"]


def _losses(work_dir):
    """As they were logged."""
    (log,) = work_dir.glob("*/vis_data/scalars.json")
    return [entry["loss"] for entry in map(json.loads, log.open()) if "loss" in entry]


def test_sigterm_then_resume_ends_like_an_uninterrupted_run(tiny, finished, tmp_path):
    process, heard = start_tool("train.py", tiny, "--work-dir", tmp_path), []
    for line in process.stdout:
        heard.append(line)
        if "Epoch(train) [2][ 4/10]" in line:
            process.send_signal(signal.SIGTERM)
    assert process.wait() == 143, "".join(heard[-20:])
    said = next(line for line in heard if "Stopped by SIGTERM" in line)
    assert f"saved {tmp_path / 'interrupted.pth'}. Continue with: python" in said
    assert f"--resume {tmp_path / 'interrupted.pth'}" in said
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == [
        "epoch_1.pth",
        "interrupted.pth",
    ]

    assert call_tool("train", tiny, "--work-dir", tmp_path, "--resume") == 0
    expected = _state(finished / "epoch_3.pth")
    resumed = _state(tmp_path / "epoch_3.pth")
    assert resumed.keys() == expected.keys()
    assert [name for name, value in resumed.items() if not torch.equal(value, expected[name])] == []
    assert (tmp_path / "last_checkpoint").read_text().endswith("epoch_3.pth")


def test_a_loss_that_blows_up_stops_the_run(tiny, finished, tmp_path, capfd):
    """One good epoch, then a learning rate that no model survives."""
    options = ["param_scheduler=None", "optim_wrapper.clip_grad=None"]
    checkpoint = torch.load(finished / "epoch_1.pth", weights_only=False)
    for group in checkpoint["optimizer"]["param_groups"]:
        group["lr"] = 1e30
    checkpoint.pop("param_schedulers")
    torch.save(checkpoint, tmp_path / "epoch_1.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_1.pth"))
    code = call_tool("train", tiny, "--work-dir", tmp_path, "--resume", "--cfg-options", *options)
    assert code == 3
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("train.py: stopped: ") and "at iteration 1" in last and "epoch 2" in last
    assert f"the last good checkpoint is {tmp_path / 'epoch_1.pth'}" in last
    assert "now 1e+30" in last
    assert [path.name for path in tmp_path.glob("*.pth")] == ["epoch_1.pth"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--cfg-options", "train_dataloader.batch_size=15"],
            "queue_len is 64 and must be a multiple",
        ),
        (
            ["--cfg-options", "train_dataloader.batch_size=1"],
            "batch_size is 1, and a mixture needs",
        ),
        (["--cfg-options", "model.mix_head=None"], "mixer is UnMix and model.mix_head is not set"),
        (["--cfg-options", "train_dataloader.drop_last=False"], "drop_last is False"),
        (
            ["--cfg-options", "train_dataloader.collate_fn._scope_=mmpretrain"],
            "holds the key _scope_",
        ),
        (["--cfg-options", "train_dataloader.collate_fn.type=pseudo_collate"], "pseudo_collate"),
        (["--cfg-options", "train_dataloader.dataset.data_root=/none"], "there is no such folder"),
        (["--data-root", "/none"], "no data set of the config has a data_root"),
        (["--auto-scale-lr"], "auto_scale_lr=dict(base_batch_size=256)"),
        (["--resume", "/none.pth"], "there is no checkpoint '/none.pth'"),
    ],
)
def test_bad_input_gets_one_line_and_makes_nothing(tiny, tmp_path, capfd, arguments, message):
    work_dir = tmp_path / "run"
    assert call_tool("train", tiny, "--work-dir", work_dir, *arguments) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("train.py: ")]
    assert len(lines) == 1 and message in lines[0]
    assert not work_dir.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="it has one")
def test_half_precision_needs_a_gpu(tiny, tmp_path, capfd):
    assert call_tool("train", tiny, "--work-dir", tmp_path / "run", "--amp") == 2
    said = (
        "train.py: mixed precision in float16 (--amp, or AmpOptimWrapper in the config) needs a GPU"
    )
    assert said in capfd.readouterr().err


def test_bfloat16_needs_none(tiny, finished, tmp_path):
    options = ["--amp", "bfloat16", "--cfg-options", "train_cfg.max_epochs=1"]
    assert call_tool("train", tiny, "--work-dir", tmp_path, *options) == 0
    exact, rounded = (_losses(folder)[:4] for folder in (finished, tmp_path))
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.02)
    state = _state(tmp_path / "epoch_1.pth")
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}


def test_the_screen_shows_the_run_and_the_file_what_it_ran_with(tiny, tmp_path, capfd):
    """A run of one epoch in place of three, whose figures go to TensorBoard too."""
    pytest.importorskip("torch.utils.tensorboard")
    backends = "[{'type': 'LocalVisBackend'}, {'type': 'TensorboardVisBackend'}]"
    options = ["--epochs", 1, "--cfg-options", f"visualizer.vis_backends={backends}"]
    assert call_tool("train", tiny, "--work-dir", tmp_path, *options) == 0
    shown = capfd.readouterr().out.splitlines()
    first = next(i for i, line in enumerate(shown) if "Epoch(train)" in line)
    assert first < 10 and not [line for line in shown if "System environment" in line]
    (path,) = tmp_path.glob("*/*.log")
    log = path.read_text()
    for text in ("System environment", "Config:\n", "Hooks will be executed", "images_per_s"):
        assert text in log
    assert f"Environment, config and hooks: {path}" in log and "--epochs 1: epochs 3 → 1; " in log
    assert Config.fromfile(tmp_path / "tiny.py").param_scheduler[-1].end == 17
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_a_config_that_is_not_there(tmp_path, capfd):
    assert call_tool("train", tmp_path / "none.py") == 2
    assert "there is no config file" in capfd.readouterr().err


def test_a_data_set_that_would_download_is_asked_about(tiny, tmp_path, capfd):
    folder = f"train_dataloader.dataset.data_root={tmp_path}"
    options = ["--cfg-options", "train_dataloader.dataset.type=CIFAR10", folder]
    assert call_tool("train", tiny, "--work-dir", tmp_path / "run", *options) == 2
    assert (
        "allow the download with --cfg-options train_dataloader.dataset.download=True"
        in capfd.readouterr().err
    )


def test_a_checkpoint_of_another_model_stops_before_training(tiny, finished, tmp_path, capfd):
    wider = ["--cfg-options", "model.feat_dim=16", "model.neck.out_channels=16"]
    code = call_tool(
        "train", tiny, "--work-dir", tmp_path / "run", "--resume", finished / "epoch_3.pth", *wider
    )
    assert code == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("train.py: the checkpoint to resume from does not match the model: ")
    assert "queue (8, 64) instead of (16, 64)" in last
    assert list((tmp_path / "run").glob("*.pth")) == []


def test_the_command_line_reaches_the_config(tiny, tmp_path):
    """--resume finds nothing and says so; seed, epochs and loaders are as asked for."""
    arguments = [
        "--resume",
        "--seed",
        "11",
        "--no-pin-memory",
        "--no-validate",
        "--no-persistent-workers",
    ]
    options = ["--cfg-options", "train_cfg.max_epochs=1", "train_dataloader.dataset.indices=16"]
    assert call_tool("train", tiny, "--work-dir", tmp_path, *arguments, *options) == 0
    cfg = Config.fromfile(tmp_path / "tiny.py")
    assert cfg.randomness.seed == 11 and cfg.work_dir == str(tmp_path)
    assert cfg.train_dataloader.pin_memory is False
    assert cfg.train_dataloader.persistent_workers is False
    log = next(tmp_path.glob("*/*.log")).read_text()
    assert f"--resume looked into {tmp_path}: found no checkpoint, starting from scratch." in log
    assert torch.load(tmp_path / "epoch_1.pth", weights_only=False)["meta"]["seed"] == 11


@pytest.mark.parametrize("named", ["elsewhere/epoch_2.pth", "elsewhere/gone.pth", ""])
def test_resume_finds_the_checkpoint_of_a_folder_that_was_moved(named, tmp_path):
    assert latest_checkpoint(str(tmp_path)) is None
    (tmp_path / "last_checkpoint").write_text(named)
    assert latest_checkpoint(str(tmp_path)) is None
    (tmp_path / "epoch_2.pth").touch()
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / "epoch_2.pth")


@pytest.mark.parametrize(
    ("scaling", "processes", "note"),
    [
        ({"base_batch_size": 16}, 8, ""),
        (
            {"base_batch_size": 16},
            2,
            "for batches of 16 images, and this run has 4 (2 on each of 2",
        ),
        ({"base_batch_size": 16, "enable": True}, 2, ""),
        (None, 2, ""),
    ],
)
def test_batches_of_another_size_than_the_learning_rates_are_noted(scaling, processes, note):
    cfg = Config({"auto_scale_lr": scaling, "train_dataloader": {"batch_size": 2}})
    notes = batch_note(cfg, processes)
    assert [note in line for line in notes] == ([True] if note else [])
