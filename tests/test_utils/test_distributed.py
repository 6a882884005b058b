"""Collectives pass the gradients of all devices."""

from __future__ import annotations

import pytest
import torch
from support.ddp import run_ranks

from mixssl.utils.distributed import gather_rows, sum_over_devices


def _gather(rank: int) -> dict:
    rows = torch.tensor([[1.0, 2.0], [3.0, 4.0]]) * (rank + 1)
    rows.requires_grad_()
    gathered = gather_rows(rows.t())  # not contiguous
    loss = (rank + 1) * gathered.square().sum()
    loss.backward()
    return {"gathered": gathered.detach(), "rows": rows.detach(), "grad": rows.grad}


def _on_a_rank(rank: int) -> dict:
    return {"gather": _gather(rank), "sum": _sum(rank)}


@pytest.fixture(scope="module")
def ranks() -> list[dict]:
    return run_ranks(_on_a_rank)


def test_gathered_rows_lie_in_order_and_receive_all_gradients(ranks: list[dict]) -> None:
    one, two = (rank["gather"] for rank in ranks)
    assert torch.equal(one["gathered"], torch.cat([one["rows"].t(), two["rows"].t()]))
    assert torch.equal(one["gathered"], two["gathered"])
    for result in (
        one,
        two,
    ):  # the losses' factors are 1 and 2, and the derivative of a square is twice the value
        assert torch.equal(result["grad"], (1 + 2) * 2 * result["rows"])


def _sum(rank: int) -> dict:
    values = torch.tensor([1.0, 2.0]) + rank
    values.requires_grad_()
    total = sum_over_devices(values)
    ((rank + 1) * total.square().sum()).backward()
    return {"total": total.detach(), "values": values.detach(), "grad": values.grad}


def test_a_sum_passes_the_gradients_of_all_devices_and_leaves_its_input(ranks: list[dict]) -> None:
    one, two = (rank["sum"] for rank in ranks)
    assert one["total"].tolist() == two["total"].tolist() == [3.0, 5.0]
    assert one["values"].tolist() == [1.0, 2.0]
    assert one["grad"].tolist() == two["grad"].tolist() == pytest.approx([18.0, 30.0])


def test_on_one_device_nothing_is_copied() -> None:
    rows = torch.ones(2, 3, requires_grad=True)
    assert gather_rows(rows) is rows
    assert sum_over_devices(rows) is rows
