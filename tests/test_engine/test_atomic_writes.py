import copy
import os
from pathlib import Path

import pytest
import torch
from mmengine.hooks import CheckpointHook
from support.toy_run import toy_runner

from mixssl.engine.atomic_writes import (
    AtomicBackend,
    is_local,
    write_atomically,
    write_last_checkpoint,
)
from mixssl.engine.hooks import WholeCheckpointHook


def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "folder" / "a.pth"
    write_atomically(b"old", path)

    def full_disk(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_atomically(b"new and longer", path)
    assert path.read_bytes() == b"old"
    assert os.listdir(path.parent) == ["a.pth"]


def test_a_new_file_that_fails_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError("no rename"))
    )
    with pytest.raises(OSError, match="no rename"):
        write_atomically(b"new", tmp_path / "a.pth")
    assert os.listdir(tmp_path) == []


def test_an_outdated_checkpoint_goes_only_once_its_successor_is_there(tmp_path):
    old, new = tmp_path / "1.pth", tmp_path / "2.pth"
    old.write_bytes(b"1")
    AtomicBackend().remove(old)
    assert old.exists()
    AtomicBackend().put(b"2", new)
    assert not old.exists() and new.read_bytes() == b"2"


def test_a_file_written_elsewhere_is_no_successor(tmp_path):
    old = tmp_path / "1.pth"
    old.write_bytes(b"1")
    AtomicBackend().remove(old)
    AtomicBackend().put(b"2", tmp_path / "other" / "2.pth")
    assert old.exists()


def test_removing_what_is_not_there_fails(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.pth"):
        AtomicBackend().remove(tmp_path / "none.pth")


def test_last_checkpoint_holds_the_path(tmp_path):
    write_last_checkpoint(tmp_path, tmp_path / "epoch_1.pth")
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "epoch_1.pth")


@pytest.mark.parametrize(
    ("path", "local"),
    [("work_dirs/a", True), ("/a/b", True), ("s3://b", False), ("openmmlab:s3://b", False)],
)
def test_is_local(path, local):
    assert is_local(path) is local


def test_a_run_killed_while_saving_keeps_its_only_checkpoint(tmp_path, monkeypatch):
    """With max_keep_ckpts=1 mmengine deletes epoch_1.pth before it writes epoch_2.pth, to its final name."""
    checkpoint = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1}
    runner = toy_runner(tmp_path, [WholeCheckpointHook()], default_hooks={"checkpoint": checkpoint})
    saved = []
    save = torch.save

    def fail_the_second_time(obj, file, *args, **kwargs):
        if saved:
            file.write(b"half a checkpoint")
            raise OSError("killed")
        saved.append(copy.deepcopy(obj["state_dict"]))
        save(obj, file, *args, **kwargs)

    monkeypatch.setattr(torch, "save", fail_the_second_time)
    with pytest.raises(OSError, match="killed"):
        runner.train()
    monkeypatch.undo()
    assert [path.name for path in tmp_path.glob("*.pth")] == ["epoch_1.pth"]
    assert (tmp_path / "last_checkpoint").read_text().endswith("epoch_1.pth")
    kept = torch.load(tmp_path / "epoch_1.pth", weights_only=False)
    assert torch.equal(kept["state_dict"]["linear.weight"], saved[0]["linear.weight"])


def test_only_max_keep_ckpts_remain(tmp_path):
    checkpoint = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1}
    toy_runner(tmp_path, [WholeCheckpointHook()], default_hooks={"checkpoint": checkpoint}).train()
    assert [path.name for path in tmp_path.glob("*.pth")] == ["epoch_3.pth"]


def test_a_backend_that_was_chosen_stays(tmp_path):
    hook = CheckpointHook(backend_args={"backend": "local"})
    toy_runner(tmp_path, [WholeCheckpointHook()], default_hooks={"checkpoint": hook}).call_hook(
        "before_run"
    )
    assert hook.backend_args == {"backend": "local"}
