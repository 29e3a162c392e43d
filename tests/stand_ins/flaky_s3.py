"""A proxy before an S3 server that answers as S3 does on a bad day, then lets requests through."""

from __future__ import annotations

import http.client
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from tests.stand_ins.http_server import Reply, Request, StandIn

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "date", "server"}


@dataclass
class S3Fault:
    """The next ``times`` requests of ``method`` whose path contains ``key`` are answered with this."""

    code: str = "SlowDown"
    status: int = 503
    times: int = 1
    key: str = ""
    method: str = "PUT"
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    disconnect: bool = False

    def meets(self, request: Request) -> bool:
        """Whether it is this fault's turn."""
        return self.times > 0 and self.method == request.method and self.key in unquote(request.path)

    def reply(self) -> Reply:
        """The error as S3 words it."""
        xml = f'<?xml version="1.0"?><Error><Code>{self.code}</Code><Message>as scripted</Message></Error>'
        headers = {"Content-Type": "application/xml", **self.headers}
        return Reply(self.status, xml.encode(), headers, self.delay_seconds, disconnect=self.disconnect)


class FlakyS3(StandIn):
    """``faults`` are tried in order; a request that meets none goes to ``upstream`` (its URL) unchanged.

    ``strict_headers`` refuses boto3's newer default checksums, as many S3-compatible stores do.
    ``damage`` flips one bit of every body on its way up.
    """

    def __init__(self, upstream: str, *faults: S3Fault, strict_headers: bool = False, damage: bool = False) -> None:
        super().__init__()
        self.upstream = urlsplit(upstream)
        self.faults = list(faults)
        self.strict_headers = strict_headers
        self.damage = damage
        self.faults_answered = 0

    def answer(self, request: Request) -> Reply:
        """A fault's reply, or a marker that the request goes upstream."""
        if self.strict_headers and _newer_checksum(request):
            return S3Fault("NotImplemented", 501).reply()
        for fault in self.faults:
            if fault.meets(request):
                fault.times -= 1
                self.faults_answered += 1
                return fault.reply()
        return _UPSTREAM

    def reply_to(self, request: Request) -> Reply:
        """Go upstream outside the lock, so that uploads stay parallel."""
        reply = super().reply_to(request)
        return self._forwarded(request) if reply is _UPSTREAM else reply

    def _forwarded(self, request: Request) -> Reply:
        connection = http.client.HTTPConnection(str(self.upstream.hostname), self.upstream.port or 80, timeout=30)
        try:
            # the signature covers the Host header, so it stays what the client wrote
            connection.putrequest(request.method, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in {"connection", "expect"}:
                    connection.putheader(name, value)
            connection.endheaders(_bit_flipped(request.body) if self.damage else request.body)
            response = connection.getresponse()
            content = response.read()
            headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP}
            if request.method != "HEAD":
                headers.pop("Content-Length", None)
            return Reply(response.status, content, headers)
        finally:
            connection.close()


def _newer_checksum(request: Request) -> bool:
    names = {name.lower() for name in request.headers}
    return any(name.startswith(("x-amz-checksum-", "x-amz-sdk-checksum-", "x-amz-trailer")) for name in names)


def _bit_flipped(body: bytes) -> bytes:
    return body[:-1] + bytes([body[-1] ^ 1]) if body else body


_UPSTREAM = Reply(599)
