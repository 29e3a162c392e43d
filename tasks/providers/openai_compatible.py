"""Every server that has OpenAI's image API, through the official ``openai`` SDK.

OpenAI itself, BytePlus Ark (Seedream), vLLM-Omni, SGLang, LocalAI: which one is asked, and with which key, stands at
the model in the catalogue.

The SDK is told to do less than it does by default: it sends a paid POST up to three times, follows redirects with it,
and keeps connections, of which one that the server has just closed would look like a call that perhaps was paid.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from tasks.core.catalogue import Endpoint
from tasks.core.errors import Account, Ambiguous, BadBytes, Invalid, StepError
from tasks.core.health import Health
from tasks.core.retry_after import parse_retry_after
from tasks.pictures.inspect import MAX_BYTES, inspect
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tasks.providers.deadline import Deadline
from tasks.providers.fetch import fetch_picture
from tasks.providers.http_errors import error_of
from tasks.providers.openai_answer import CODES, Answer, decoded, read_answer, unsuccessful
from tasks.providers.openai_request import Call, call_of
from tasks.providers.sent_once import CONNECT_SECONDS, new_client, no_answer

if TYPE_CHECKING:
    import openai

INSTALL = "pip install 'imagechord[openai]'"
OPENAI = Endpoint(base_url="https://api.openai.com/v1", key_variable="OPENAI_API_KEY", edits="form")
"""Where a model without an endpoint of its own answers."""

_NO_KEY = "none"
"""For a server that wants none: an empty one would be replaced by the SDK with OpenAI's."""
_MOST_BYTES = MAX_BYTES * 4 // 3 + (1 << 20)
"""A picture of the largest size in base64, and what is around it."""


class OpenAICompatibleProvider:
    """``generate`` sends one ``images/generations``, or ``images/edits`` for reference pictures that go in a form.

    The parameters of the catalogue become fields of the request as they are called: ``size``, ``quality``, ``seed``,
    ``watermark``, whatever the server takes. A value that is JSON for a number, true, false, a list or a table is
    sent as that, anything else as text: ``"7"`` → 7, ``"false"`` → false, ``"1024x1024"`` → "1024x1024".

    ``keys``: variables that hold endpoints' keys → their values, ``None`` where one is not set; the empty name stands
    for servers that want none. ``base_url`` replaces OpenAI's own. ``allow_private_urls``: the pictures' URLs may
    lead to this machine or a private network.
    """

    name = "openai_compatible"
    capabilities: ClassVar = Capabilities(edit=True, seed=True, sizes=("exact", "list", "any"))

    def __init__(
        self, *, keys: Mapping[str, str | None], base_url: str | None = None, allow_private_urls: bool = False
    ) -> None:
        self._keys = keys
        self._openai = OPENAI.model_copy(update={"base_url": base_url}) if base_url else OPENAI
        self._allow_private_urls = allow_private_urls
        self._clients: dict[tuple[str, str], openai.OpenAI] = {}
        self._lock = threading.Lock()

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Buy one picture. Raises the StepError that the answer calls for, see ``openai_answer``."""
        endpoint = request.endpoint or self._openai
        service = _service(endpoint.base_url)
        client = self._client(endpoint, service)
        with Deadline(request.deadline_seconds) as deadline:
            body, trace_id = _sent(client, call_of(request, endpoint), service, deadline)
            try:
                answer = read_answer(service, body, request.token_prices)
                data = self._picture(answer, deadline)
            except StepError as error:
                error.trace_id = trace_id
                raise
        return GeneratedPicture(data, cost_usd_micros=answer.cost_usd_micros, trace_id=trace_id)

    def check(self) -> Health:
        """Look for the SDK and the endpoints' keys; nothing is sent to anybody."""
        if find_spec("openai") is None:
            return Health(self.name, "bad", "the openai SDK is not installed", INSTALL)
        installed = f"openai {version('openai')}"
        names = sorted(filter(None, self._keys))
        if all(key is None for key in self._keys.values()):
            return Health(self.name, "bad", f"{installed} has no key", f"set {' or '.join(names)}")
        told = [f"{name} is {'not set' if self._keys[name] is None else 'set'}" for name in names]
        return Health(self.name, "ok", "; ".join([installed, *told]))

    def _client(self, endpoint: Endpoint, service: str) -> openai.OpenAI:
        """The process's client for an endpoint and its key. Raises Account when the key or the SDK is missing."""
        variable = endpoint.key_variable
        key = (self._keys.get(variable) or "").strip() if variable else _NO_KEY
        if not (key and key.isascii() and key.isprintable()):
            raise Account(f"{service} wants a key: set {variable}, on one line")
        with self._lock:
            if (endpoint.base_url, key) not in self._clients:
                client = _new_client(endpoint.base_url, key)
                if variable != OPENAI.key_variable:
                    client.organization = client.project = None  # OpenAI's, by OPENAI_ORG_ID and OPENAI_PROJECT_ID
                self._clients[endpoint.base_url, key] = client
            return self._clients[endpoint.base_url, key]

    def _picture(self, answer: Answer, deadline: Deadline) -> bytes:
        """The bytes of the picture. What did not come whole from a URL is fetched once more, which costs nothing.

        Raises BadBytes, and what ``fetch_picture`` raises, with what the call has cost.
        """
        try:
            if answer.b64:
                return decoded(answer.b64)
            try:
                return self._fetched(answer.url, deadline)
            except (BadBytes, Ambiguous):
                if not deadline.left_seconds:
                    raise
                return self._fetched(answer.url, deadline)
        except StepError as error:
            error.cost_usd_micros = answer.cost_usd_micros
            raise

    def _fetched(self, url: str, deadline: Deadline) -> bytes:
        data = fetch_picture(
            url,
            allow_private=self._allow_private_urls,
            max_bytes=MAX_BYTES,
            deadline_seconds=deadline.left_seconds,
        )
        inspect(data)
        return data


def _new_client(base_url: str, key: str) -> openai.OpenAI:
    """A client that sends each request once, each over a connection of its own. Raises Account without the SDK."""
    try:
        import openai

        http_client = new_client()
    except ImportError as error:
        raise Account(f"the openai SDK cannot be imported ({error}); {INSTALL}") from error
    return openai.OpenAI(api_key=key, base_url=base_url, max_retries=0, http_client=http_client)


def _service(base_url: str) -> str:
    """Who is asked, for the messages: host and port. Raises Account for what is no address."""
    try:
        parts = urlsplit(base_url)
        if parts.scheme in {"http", "https"} and parts.hostname and base_url.isprintable():
            return parts.hostname if parts.port is None else f"{parts.hostname}:{parts.port}"
    except ValueError:  # a port that is no number
        pass
    raise Account(f"the address {base_url!r} is none; correct base_url in models.toml, or OPENAI_BASE_URL")


def _sent(client: openai.OpenAI, call: Call, service: str, deadline: Deadline) -> tuple[bytes, str | None]:
    """Send the one paid request: the body of its success answer, and the server's own name for the call."""
    import httpx2
    import openai

    images = client.images.with_streaming_response
    left = deadline.left_seconds
    common: dict[str, Any] = {
        "model": call.model,
        "prompt": call.prompt,
        "extra_body": call.fields,
        "timeout": httpx2.Timeout(left, connect=min(CONNECT_SECONDS, left)),
    }
    files = call.files[0] if len(call.files) == 1 else list(call.files)
    try:
        with images.edit(image=files, **common) if files else images.generate(**common) as response:
            return _body(response.iter_bytes(), service), response.headers.get("x-request-id")
    except openai.APIStatusError as error:
        raise _status_error(error, service) from error
    except (openai.APIConnectionError, httpx2.RequestError) as error:
        raise no_answer(error, service, deadline) from error
    except UnicodeError as error:
        raise Invalid("the prompt holds characters that no text has; take them out") from error


def _body(chunks: Iterable[bytes], service: str) -> bytes:
    """All of an answer. Raises BadBytes when it is too long."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > _MOST_BYTES:
            raise BadBytes(f"{service} sends more than {_MOST_BYTES:,} bytes, which are the most that are taken")
    return bytes(body)


def _status_error(error: openai.APIStatusError, service: str) -> StepError:
    """The error for an answer that is no success."""
    headers = error.response.headers
    said = replace(
        unsuccessful(error.status_code, error.body),
        retry_after_seconds=parse_retry_after(headers.get("retry-after"), datetime.now(UTC)),
        trace_id=error.request_id,
    )
    return error_of(service, said, CODES)
