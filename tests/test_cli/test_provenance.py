"""What stands beside a figure."""

import json
import subprocess

import torch

from mixssl.cli.provenance import circumstances, commit, device_name


def test_the_commit_of_a_checkout_and_of_none(tmp_path, monkeypatch) -> None:
    assert commit(tmp_path / "absent") is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert commit(tmp_path) is None
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    found = commit(tmp_path)
    assert found is not None and len(found) == 40
    monkeypatch.setenv("PATH", "")
    assert commit(tmp_path) is None


def test_the_machine_can_be_written_down() -> None:
    noted = circumstances("cpu")
    assert json.loads(json.dumps(noted)) == noted
    assert noted["torch"] == torch.__version__ and noted["threads"] == torch.get_num_threads()
    assert noted["device"] == device_name("cpu") == f"{noted['cores']} CPU cores"
