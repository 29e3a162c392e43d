"""Rows whose figures come from modules beside the suite."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from tests.bench.contestants import Imagechord
from tests.bench.suite import Measured, Order, Row


def web_submit(order: Order) -> Iterator[Measured]:
    """``submit`` from a web process: how long the request waits."""
    if Imagechord.name in order.who:
        yield Measured(Imagechord.name, import_module("tests.bench.intake").submit_from_web(order.size))


def status(order: Order) -> Iterator[Measured]:
    """``status`` with ten batches in the ledger, on both databases."""
    if Imagechord.name not in order.who:
        return
    for database in ("sqlite", "postgres"):
        figures = import_module("tests.bench.status").status_p95(order.size, database=database)
        yield Measured(Imagechord.name, figures, database)


_ALL = {
    "tests.bench.intake": Row(
        name="web_submit",
        title="submit {size} rows from a web process",
        measure=web_submit,
        sizes=(1_000, 100_000),
        quick_sizes=(50,),
        minutes=1,
        goal="the call returns in ≤ 200 ms at any size.",
    ),
    "tests.bench.status": Row(
        name="status",
        title="status with {size} rows in the ledger",
        measure=status,
        sizes=(100_000,),
        quick_sizes=(1_000,),
        minutes=2,
        goal="p95 < 200 ms.",
    ),
}
ROWS = tuple(row for module, row in _ALL.items() if find_spec(module) is not None)
