"""One bounded HTTP call: a session per thread, no retries, no redirects, and errors that never tell a secret."""

from __future__ import annotations

import base64
import json
import math
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError

from tasks.core.errors import Account, Ambiguous, ConfigurationError, NotSent, Overloaded, StepError
from tasks.core.redaction import redacted
from tasks.core.retry_after import parse_retry_after

_SCHEMES = {"basic": "Basic", "bearer": "Bearer", "key": "Key", "token": "Token"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``body`` is as long as the caller takes it."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The beginning of the body on one line, for a message: at most 200 characters."""
        line = " ".join(self.body[:2000].decode(errors="replace").split())
        return redacted(line)[:200]  # in this order: half a secret would not be known again

    @property
    def retry_after_seconds(self) -> float | None:
        """What ``Retry-After`` asks for, if it does."""
        return parse_retry_after(self.headers.get("Retry-After"), datetime.now(UTC))

    def json(self) -> Any:
        """The body as JSON; ``None`` when it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class TokenAuth(AuthBase):
    """``Authorization: Bearer TOKEN``, fal's Key, Django's Token, or Basic with ``user:password`` as the token.

    A plain header would lose against an entry for the host in ``~/.netrc``.
    """

    def __init__(self, scheme: Literal["bearer", "basic", "key", "token"], token: str) -> None:
        shown = base64.b64encode(token.encode()).decode() if scheme == "basic" else token
        self._value = f"{_SCHEMES[scheme]} {shown}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Set the header of one request."""
        request.headers["Authorization"] = self._value
        return request


class HttpCaller:
    """Calls one service from any thread. ``service`` and ``variable`` (its setting) are for the messages.

    ``total_seconds`` is for each silence and for the whole: a server that drips its answer cannot hold a thread for
    longer than twice that.
    ``repeatable`` says what a lost answer means: ask again (Overloaded), or perhaps done (Ambiguous). What is not
    repeatable has a connection of its own: a kept one that the other side is just closing would lose the answer.
    Of an answer no more than ``max_answer_bytes`` is read.
    """

    max_answer_bytes = 1 << 20

    def __init__(
        self,
        service: str,
        variable: str,
        *,
        auth: AuthBase | None = None,
        total_seconds: float = 30.0,
        repeatable: bool = True,
    ) -> None:
        self.service = service
        self.variable = variable
        self.total_seconds = total_seconds
        self._auth = auth or _NoAuth()
        self._repeatable = repeatable
        self._threads = threading.local()

    def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        at_most_seconds: float = math.inf,
    ) -> Answer:
        """Send one request, with ``body`` as JSON unless it is bytes. ``at_most_seconds`` cuts ``total_seconds``.

        Raises NotSent, Account (TLS, address), Overloaded or Ambiguous.
        """
        content = {"data": body} if isinstance(body, bytes) else {"json": body}
        session = self._session()
        seconds = max(min(self.total_seconds, at_most_seconds), 0.001)
        deadline = time.monotonic() + seconds
        try:
            with session.request(
                method,
                url,
                **content,
                headers=headers,
                auth=self._auth,
                timeout=(min(5.0, seconds), seconds),
                allow_redirects=False,  # a redirected PATCH becomes a GET, and would look like success
                stream=True,
            ) as response:
                return Answer(response.status_code, response.headers, self._bounded_body(response, deadline))
        except (requests.RequestException, HTTPError) as error:
            failure = self._failure(error, seconds)
        finally:
            if not self._repeatable:
                session.close()
        # Raised out here, without its cause: requests puts the URL into its messages, and a webhook's URL is a secret.
        raise failure

    def _session(self) -> requests.Session:
        """The session of this thread; a forked child must not share its parent's connections."""
        if getattr(self._threads, "process_id", None) != os.getpid():
            self._threads.session = self._new_session()
            self._threads.process_id = os.getpid()
        session: requests.Session = self._threads.session
        return session

    def _new_session(self) -> requests.Session:
        return requests.Session()

    def _bounded_body(self, response: requests.Response, deadline: float) -> bytes:
        """Read what comes until the deadline. Raises requests' and urllib3's errors."""
        parts = bytearray()
        while len(parts) < self.max_answer_bytes:
            part = response.raw.read1(1 << 16, decode_content=True)
            if not part:
                return bytes(parts)
            parts += part
            if time.monotonic() > deadline:
                raise requests.ReadTimeout
        return bytes(parts[: self.max_answer_bytes])

    def _failure(self, error: Exception, seconds: float) -> StepError:
        reason = _innermost(error)
        lost = Overloaded if self._repeatable else Ambiguous
        if isinstance(error, requests.exceptions.SSLError):
            return Account(f"{self.service}: no trusted TLS connection; check the certificate and {self.variable}")
        if isinstance(error, ValueError):  # requests' InvalidURL and its kin
            return Account(f"{self.service} cannot be called at this address; check {self.variable}")
        if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError) or isinstance(
            reason, NewConnectionError | ConnectTimeoutError
        ):
            return NotSent(f"{self.service} cannot be reached; check the network and {self.variable}")
        if isinstance(error, requests.Timeout | ReadTimeoutError):
            return lost(f"{self.service} did not answer within {seconds:g} s")
        return lost(f"{self.service} dropped the connection ({type(reason).__name__})")


class _NoAuth(AuthBase):
    """Sends nothing, ``~/.netrc`` included."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


def checked_base_url(url: str, variable: str) -> str:
    """The URL without a slash at its end. Raises ConfigurationError when it is not plain ``http(s)://host…``."""
    text = url.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and text.isprintable() and " " not in text
        valid = valid and parts.port != 0
    except ValueError:  # a port that is no number
        valid = False
    if not valid:
        raise ConfigurationError(f"{variable} is not a URL; write it like https://cms.example.com")
    if parts.username is not None:
        raise ConfigurationError(
            f"{variable} holds a user or password; take it out, tokens have a variable of their own"
        )
    return text


def checked_token(token: str, variable: str) -> str:
    """The token without blanks around it. Raises ConfigurationError when no header could carry it."""
    text = token.strip()
    if not (text.isascii() and text.isprintable()):
        raise ConfigurationError(f"{variable} holds characters that no token has; copy it again, on one line")
    return text


def _innermost(error: Exception) -> BaseException:
    """urllib3's own error inside of requests' wrapping."""
    inner: BaseException = error
    while inner.args and isinstance(inner.args[0], Exception):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None)
    return reason if isinstance(reason, Exception) else inner
