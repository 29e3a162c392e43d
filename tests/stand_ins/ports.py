"""Ports and waiting for servers that cannot tell us the port they chose."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that were free a moment ago, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def wait_until_up(url: str, log: Path, seconds: float = 30.0) -> None:
    """Wait for any HTTP answer below 500. Raises TimeoutError with the end of the server's log."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)  # polls a process that has no other way to say it is ready
    raise TimeoutError(f"{url} did not come up: {log.read_text(errors='replace')[-2000:]}")
