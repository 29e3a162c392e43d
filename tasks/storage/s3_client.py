"""The one S3 client of a process."""

from __future__ import annotations

import io
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ASK_FIRST_ABOVE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class S3Connection:
    """How to reach S3. What is ``None`` is boto3's own business (profile, role, instance).

    ``endpoint_url`` set means an S3-compatible store, addressed by path. ``max_connections`` should be the
    worker's concurrency: with fewer, threads wait for each other's connections.
    """

    region: str | None = None
    endpoint_url: str | None = None
    max_connections: int = 32
    connect_timeout_seconds: float = 5.0
    read_timeout_seconds: float = 60.0
    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)


def build_client(connection: S3Connection) -> S3Client:
    """A new client; no request is sent. Takes about 15 ms once boto3 is imported.

    Raises botocore's own errors for a malformed endpoint or an unknown profile.
    """
    import boto3  # a heavy import, and most commands need no S3
    from botocore.config import Config

    config = Config(
        region_name=connection.region,
        connect_timeout=connection.connect_timeout_seconds,
        read_timeout=connection.read_timeout_seconds,
        max_pool_connections=connection.max_connections,
        # the steps retry, by the one table of the project; two layers of retries multiply
        retries={"total_max_attempts": 1, "mode": "standard"},
        # boto3's newer defaults are refused by many compatible stores; we send Content-MD5, which all of them check
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if connection.endpoint_url else "auto"},
    )
    # a session of our own: boto3's default session is not safe to share between threads
    session = boto3.session.Session(
        aws_access_key_id=connection.access_key_id,
        aws_secret_access_key=connection.secret_access_key,
        aws_session_token=connection.session_token,
        profile_name=connection.profile,
    )
    client = session.client("s3", endpoint_url=connection.endpoint_url, config=config)
    # "last": boto3's own handler for the same event, which sets the header, comes before
    client.meta.events.register_last("before-call.s3", _send_at_once)
    return client


def _send_at_once(params: dict[str, Any], **_event: Any) -> None:
    """Send a small body without asking first.

    boto3 announces every body with ``Expect: 100-continue``, and reads the answer byte by byte: a round trip and a
    fifth of the call's processor time, for bytes that are soon sent.
    """
    body = params["body"]
    if isinstance(body, io.BytesIO) and body.getbuffer().nbytes <= _ASK_FIRST_ABOVE_BYTES:
        params["headers"].pop("Expect", None)


class S3ClientFactory:
    """Calling it gives the process's client, made on first use: clients may be shared by threads, not by forks."""

    def __init__(self, connection: S3Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()
        self._client: S3Client | None = None
        self._process_id = 0

    def __call__(self) -> S3Client:
        """The client of this process. Raises as :func:`build_client`."""
        with self._lock:
            if self._client is None or self._process_id != os.getpid():
                self._client = build_client(self.connection)
                self._process_id = os.getpid()
            return self._client
