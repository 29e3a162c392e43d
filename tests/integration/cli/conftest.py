"""Each test has a shop of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.cli.shop import Shop
from tests.waiting import wait_until


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A folder; when the test is over no process of it may be left."""
    yield from _shop(tmp_path)


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop in which one batch of four rows has been run with ``preview``, one of them bad and skipped."""
    for shop in _shop(tmp_path_factory.mktemp("rehearsed")):
        rows = "sku,name,color\nA-1,머그컵,흰색\nA-2,=Lamp,black\n../x,Chair,red\nA-4,Desk,oak\n"
        shop.write("products.csv", rows)
        ran = shop.call("run", "products.csv", "-t", "product", "-m", "preview", "--skip-bad-rows", "--name", "autumn")
        assert ran.returncode == 0, ran.stderr
        yield shop


def _shop(folder: Path) -> Iterator[Shop]:
    temporary = Path(tempfile.mkdtemp(prefix="ic-"))
    shop = Shop(folder, temporary)
    try:
        yield shop
        wait_until(lambda: not shop.running(), 15, "the end of every process")
    finally:
        shutil.rmtree(temporary)
