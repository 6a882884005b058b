"""What the doctor says of a machine that can train."""

import argparse

import pytest

from mixssl.cli.doctor import doctor


def test_a_machine_that_can_train(capsys: pytest.CaptureFixture[str]) -> None:
    doctor(argparse.Namespace())
    said = capsys.readouterr().out
    assert "mmpretrain" in said and "cores" in said
    assert "cpu: a training step with a mixture works" in said
