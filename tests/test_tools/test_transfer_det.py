"""tools/transfer_det.sh: extraction, check, trials, and a start again where it was stopped. Python is a stand-in."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.checkpoints import pretraining
from support.needs_detection import needs_detection
from support.tools import ROOT

FAKE = r"""#!/bin/bash
# Notes what it is asked for and leaves behind what the real tools would.
if [ "$1" = -c ]; then echo "${FAKE_GPUS:-0}"; exit; fi
echo "$@" >>"$CALLS"
if [[ $1 == */torchrun.py ]]; then shift; while [[ $1 != */tools/*.py ]]; do shift; done; fi
tool=$(basename "$1")
if [ "$tool" = trials.py ] && [ -n "${SUM_UP:-}" ]; then exec "$REAL" "$@"; fi
while [ $# -gt 0 ]; do
    case $1 in
        --work-dir) dir=$2 ;;
        --seed) seed=$2 ;;
        --out) out=$2 ;;
    esac
    shift
done
case $tool in
    extract_backbone.py)
        [ -z "${REFUSE:-}" ] || { echo "extract_backbone.py: another depth" >&2; exit 2; }
        touch "$out/pre_backbone_mmdet-12345678.pth"
        echo "loaded 1 of 1"
        echo "$out/pre_backbone_mmdet-12345678.pth" ;;
    train.py)
        mkdir -p "$dir"
        if [ "$seed" = "${STOP_AT:-none}" ]; then
            trap 'echo stopped >>"$CALLS"; exit 143' TERM
            echo waiting >>"$CALLS"
            while true; do sleep 0.05; done
        fi
        echo "$dir/iter_3.pth" >"$dir/last_checkpoint" ;;
    test.py)
        seed=${dir#*seed_}; echo "{\"coco/bbox_mAP\": 0.4${seed%%/*}}" >"$out" ;;
esac
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    fake = tmp_path / "python"
    fake.write_text(FAKE)
    fake.chmod(0o755)
    return {
        **{
            name: value
            for name, value in os.environ.items()
            if name not in ("TRIALS", "SEED", "GPUS")
        },
        "PYTHON": str(fake),
        "REAL": sys.executable,
        "PYTHONPATH": str(ROOT),
        "CALLS": str(tmp_path / "calls"),
        "WORK_DIR": str(tmp_path / "out"),
    }


@pytest.fixture
def transfer(environment: dict[str, str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [str(ROOT / "tools/transfer_det.sh"), *arguments]
        return subprocess.run(
            command, env={**environment, **more}, capture_output=True, text=True, timeout=120
        )

    return run


def _calls(environment: dict[str, str], clear: bool = True) -> list[str]:
    path = Path(environment["CALLS"])
    lines = path.read_text().splitlines() if path.exists() else []
    if clear:
        path.unlink(missing_ok=True)
    return [line.replace(f"{ROOT}/tools/", "") for line in lines]


def test_extraction_check_training_evaluation_and_the_mean(
    transfer: Callable, environment: dict[str, str], tmp_path: Path
) -> None:
    done = transfer(
        "voc.py",
        "w/pre.pth",
        "--data-root",
        "d",
        TRIALS="2",
        SEED="4",
        ENCODER="momentum",
        SUM_UP="1",
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    folder = out / "pre_backbone_mmdet-12345678"
    weights = out / "backbones/pre_backbone_mmdet-12345678.pth"
    calls = _calls(environment)
    assert calls[0] == (
        f"convert/extract_backbone.py w/pre.pth --config voc.py --check --encoder momentum --out {out}/backbones"
    )
    assert calls[5:] == [f"benchmarks/trials.py {folder} --config voc.py --devices 0"]
    for seed, (train, test) in ((4, calls[1:3]), (5, calls[3:5])):
        trial = folder / f"seed_{seed}"
        assert train == (
            f"train.py voc.py --work-dir {trial} --seed {seed} --resume --no-validate "
            f"--cfg-options model.init_cfg.checkpoint={weights} --data-root d"
        )
        assert test == (
            f"test.py voc.py {trial}/iter_3.pth --work-dir {trial}/test --out {trial}/metrics.part.json "
            "--out-item metrics --data-root d"
        )
    assert "coco/bbox_mAP 44.5 ± 0.7 (2 trials, seeds 4 5)" in done.stdout
    assert "loaded 1 of 1" in done.stdout
    assert json.loads((folder / "results.json").read_text())[0]["n"] == 2


def test_what_is_done_stays_done_and_trials_can_be_added(
    transfer: Callable, environment: dict[str, str]
) -> None:
    assert transfer("voc.py", "pre.pth", TRIALS="1").returncode == 0
    _calls(environment)
    assert transfer("voc.py", "pre.pth", TRIALS="2").returncode == 0
    tools = [call.split()[0] for call in _calls(environment)]
    assert tools == [
        "convert/extract_backbone.py",
        "train.py",
        "test.py",
        "benchmarks/trials.py",
    ]


def test_a_stop_reaches_the_training_once_and_nothing_is_evaluated(
    transfer: Callable, environment: dict[str, str], tmp_path: Path
) -> None:
    command = [str(ROOT / "tools/transfer_det.sh"), "voc.py", "random"]
    process = subprocess.Popen(command, env={**environment, "STOP_AT": "0"})
    deadline = time.monotonic() + 60
    while "waiting" not in _calls(environment, clear=False) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    calls = _calls(environment)
    assert calls[-1] == "stopped" and calls.count("stopped") == 1
    assert not (tmp_path / "out/random/seed_0/trained").exists()
    assert transfer("voc.py", "random", TRIALS="1").returncode == 0
    tools = [call.split()[0] for call in _calls(environment)]
    assert tools == ["train.py", "test.py", "benchmarks/trials.py"]


def test_an_evaluation_that_was_stopped_is_done_alone(
    transfer: Callable, environment: dict[str, str], tmp_path: Path
) -> None:
    assert transfer("voc.py", "random", TRIALS="1").returncode == 0
    (tmp_path / "out/random/seed_0/metrics.json").unlink()
    _calls(environment)
    assert transfer("voc.py", "random", TRIALS="1").returncode == 0
    assert [call.split()[0] for call in _calls(environment)] == ["test.py", "benchmarks/trials.py"]


def test_random_weights_are_neither_extracted_nor_checked(
    transfer: Callable, environment: dict[str, str]
) -> None:
    assert transfer("voc.py", "random", TRIALS="1").returncode == 0
    first, *_ = _calls(environment)
    assert first.startswith("train.py") and first.endswith(
        "--cfg-options model.init_cfg.checkpoint=random"
    )


@pytest.mark.parametrize("devices", [{"GPUS": "2"}, {"FAKE_GPUS": "2"}])
def test_several_devices_go_through_the_launchers(
    devices: dict[str, str], transfer: Callable, environment: dict[str, str]
) -> None:
    assert transfer("voc.py", "random", TRIALS="1", **devices).returncode == 0
    train, test, trials = _calls(environment)
    for call, tool in ((train, "train.py voc.py"), (test, "test.py voc.py")):
        assert call.split()[0].endswith("torchrun.py") and "--nproc_per_node=2" in call
        assert tool in call and "--launcher pytorch" in call
    assert trials.endswith("--devices 2")


def test_a_refused_checkpoint_ends_it_before_anything_is_trained(
    transfer: Callable, environment: dict[str, str]
) -> None:
    done = transfer("voc.py", "pre.pth", REFUSE="1")
    assert done.returncode == 2 and "another depth" in done.stderr
    assert len(_calls(environment)) == 1


def test_trials_of_other_options_are_not_mixed(
    transfer: Callable, environment: dict[str, str]
) -> None:
    assert transfer("voc.py", "random", "--data-root", "d", TRIALS="1").returncode == 0
    _calls(environment)
    done = transfer("voc.py", "random", TRIALS="2")
    assert done.returncode == 2 and not _calls(environment)
    assert "were started with the options '--data-root d'" in done.stderr
    assert "choose another WORK_DIR" in done.stderr


def test_wrong_calls_say_what_is_wanted(transfer: Callable, environment: dict[str, str]) -> None:
    done = transfer("voc.py")
    assert done.returncode == 2 and "tools/transfer_det.sh CONFIG PRETRAIN" in done.stderr
    done = transfer("voc.py", "random", TRIALS="many")
    assert done.returncode == 2 and "TRIALS and SEED are numbers, not 'many'" in done.stderr
    assert not _calls(environment)


SHORT = """
_base_ = ['{base}']
train_cfg = dict(max_iters=2)
train_dataloader = dict(batch_size=2, dataset=dict(num_scenes=4))
test_dataloader = dict(dataset=dict(num_scenes=2))
default_hooks = dict(precise_bn=dict(num_iters=1))
"""


@needs_detection
@pytest.mark.slow
def test_the_whole_way_with_nothing_faked(tmp_path: Path) -> None:
    pretraining(tmp_path / "pre.pth")
    base = ROOT / "configs/benchmarks/detection/mask_rcnn_r18_fpn_digits.py"
    config = tmp_path / "short.py"
    normalised = "model = dict(data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375]))"
    config.write_text(SHORT.format(base=base) + normalised)
    env = {"PYTHON": sys.executable, "TRIALS": "1", "WORK_DIR": str(tmp_path / "out"), "GPUS": "0"}
    command = [str(ROOT / "tools/transfer_det.sh"), str(config), str(tmp_path / "pre.pth")]
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-3000:]
    assert "res5: the same" in said and "all 120 tensors are in the detector" in said
    assert "layers of SyncBN are plain BN here" in said
    assert "(1 trial, seeds 0)" in said
