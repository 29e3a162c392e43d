"""S3 as moto plays it, in a process of its own: lenient (it accepts wrong digests and credentials), but complete."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.stand_ins.ports import free_ports, wait_until_up
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.supervisor import supervised


@contextmanager
def moto_s3() -> Iterator[S3Server]:
    """A moto server without buckets."""
    (port,) = free_ports(1)
    argv = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with tempfile.TemporaryDirectory() as name, supervised({"moto": argv}, Path(name)):
        server = S3Server(f"http://127.0.0.1:{port}", "testing", "testing")
        wait_until_up(f"{server.url}/moto-api/", Path(name) / "moto.log")
        yield server
