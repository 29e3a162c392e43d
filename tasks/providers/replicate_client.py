"""The official Replicate SDK, held to one request and a deadline for each call, and its errors in our words.

Read in version 1.0.7: a POST is sent once, but without any time limit whatever limit the client has, so every call is
made inside a :class:`tasks.providers.deadline.Deadline`. Its GETs sleep for as long as ``Retry-After`` says and know no
status ``aborted``: nothing is asked through it.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.core.errors import Account, Ambiguous, Invalid, NoImage, NotSent, StepError
from tasks.core.retry_after import parse_retry_after
from tasks.providers.deadline import Deadline, watch
from tasks.providers.http_errors import Unsuccessful, error_of
from tasks.providers.inputs import read_reference
from tasks.providers.sent_once import CONNECT_SECONDS, causes_of

if TYPE_CHECKING:
    import httpx
    from replicate.client import Client

INSTALL = "pip install 'imagechord[replicate]'"

_SERVICE = "Replicate"

_MODEL = re.compile(r"[^/:\s]+/[^/:\s]+(:(?P<version>\S+))?")

_T = TypeVar("_T")


class ReplicateClient:
    """One client for all threads, with a connection for each call. Raises Account without the SDK."""

    def __init__(self, api_token: str, base_url: str) -> None:
        try:
            import httpx
            from replicate.client import Client
        except ImportError as error:
            raise Account(f"the replicate SDK cannot be imported ({error}); {INSTALL}") from error
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self._said = threading.local()
        self._client: Client = Client(
            api_token=api_token,
            base_url=base_url,
            transport=httpx.HTTPTransport(limits=limits),
            event_hooks={"request": [_bounded], "response": [self._remember]},
        )

    def upload(self, path: Path, deadline: Deadline) -> str:
        """Put a reference picture where the model finds it, which costs nothing, and return its URL.

        Raises NotSent when there was no answer: nothing has been bought; Invalid for no picture.
        """
        _data, picture = read_reference(path)
        create = self._client.files.create
        created = self._called(lambda: create(path, content_type=picture.content_type), deadline, lost=NotSent)
        return str(created.urls["get"])

    def predict(self, model: str, fields: dict[str, Any], webhook_url: str | None, deadline: Deadline) -> str:
        """Send the one paid request and return the prediction's id.

        ``model`` is ``owner/name``, with ``:version`` for one that is not official. Raises Invalid for any other
        form, NoImage for an answer without an id.
        """
        if not (form := _MODEL.fullmatch(model)):
            raise Invalid(f"{model!r} is no model of Replicate; write it like google/nano-banana-2")
        what = {"version": form["version"]} if form["version"] else {"model": model}
        calling: dict[str, Any] = {}
        if webhook_url is not None:
            calling = {"webhook": webhook_url, "webhook_events_filter": ["completed"]}
        create = self._client.predictions.create
        return str(self._called(lambda: create(**what, input=fields, **calling), deadline, lost=Ambiguous).id)

    def _called(self, send: Callable[[], _T], deadline: Deadline, lost: type[StepError]) -> _T:
        """Make one call; ``lost`` is what it means that no answer came."""
        import httpx
        from replicate.exceptions import ReplicateError

        self._said.headers = {}
        try:
            with deadline:
                return send()
        except ReplicateError as error:
            raise self._refusal(error) from error
        except httpx.HTTPError as error:
            raise _no_answer(error, deadline, lost) from error
        except UnicodeError as error:
            raise Invalid("the prompt holds characters that no text has; take them out") from error
        except (ValueError, KeyError) as error:  # no JSON, or none of a prediction
            raise NoImage(f"{_SERVICE} answered and named no job") from error

    def _remember(self, response: httpx.Response) -> None:
        """The SDK's errors leave the headers out, and a redirect is none to it. Raises Account for one."""
        self._said.headers = response.headers
        if response.is_redirect:
            raise error_of(_SERVICE, Unsuccessful(response.status_code), {})

    def _refusal(self, error: Any) -> StepError:
        headers = self._said.headers
        told = Unsuccessful(
            status=error.status,
            message=str(error.detail or error.title or ""),
            retry_after_seconds=parse_retry_after(headers.get("retry-after"), datetime.now(UTC)),
        )
        return error_of(_SERVICE, told, {})


def _bounded(request: httpx.Request) -> None:
    """Give the SDK's request, which has none, time limits; the deadline ends what keeps within them."""
    watch(request)
    request.extensions["timeout"] = dict.fromkeys(("connect", "pool"), CONNECT_SECONDS)


def _no_answer(error: httpx.HTTPError, deadline: Deadline, lost: type[StepError]) -> StepError:
    import httpx

    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes_of(error)):
        return Account(f"the certificate of {_SERVICE} cannot be trusted; set SSL_CERT_FILE")
    if isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        return Account(f"{_SERVICE} cannot be called so ({error}); check REPLICATE_API_TOKEN and base_url")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        return NotSent(f"{_SERVICE} cannot be reached")
    if not deadline.left_seconds:
        return lost(f"{_SERVICE} did not answer within {deadline.seconds:g} s")
    return lost(f"{_SERVICE} dropped the connection ({type(error).__name__})")
