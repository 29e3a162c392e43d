"""Google's image models (Nano Banana) over the Gemini API, through the official ``google-genai`` SDK.

The SDK is told to do less than it does by default: it sends further paid requests when a model asks to go on, follows
redirects with the key, and reads its own variables. Its answers are read by ``gemini_answer``, so that a new reason or
a broken picture is what it is, and its cost is not lost, instead of an error of the SDK's types.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from tasks.core.errors import Account, BadBytes, Invalid, NotSent, StepError
from tasks.core.health import Health
from tasks.core.retry_after import parse_retry_after
from tasks.pictures.inspect import inspect
from tasks.providers.base import Capabilities, GeneratedPicture, GenerationRequest
from tasks.providers.deadline import Deadline
from tasks.providers.gemini_answer import SERVICE, failure, read_answer
from tasks.providers.sent_once import CONNECT_SECONDS, new_client, no_answer, too_late

if TYPE_CHECKING:
    from google import genai
    from google.genai import errors, types

INSTALL = "pip install 'imagechord[gemini]'"
BASE_URL = "https://generativelanguage.googleapis.com"

_API_VERSION = "v1beta"
_PARAMETERS = ("aspect_ratio", "resolution", "seed", "thinking_level")


class GeminiProvider:
    """``generate`` sends one ``generateContent``. The endpoint's ``base_url`` of a model replaces Google's own.

    Parameters: ``aspect_ratio`` (``16:9``), ``resolution`` (``1k``, sent as ``1K``), ``seed`` (a whole number; Google
    does its best with it), ``thinking_level`` (``minimal``, ``medium``, ``high``: less of it costs less).
    """

    name = "gemini"
    capabilities: ClassVar = Capabilities(edit=True, seed=True, sizes=("aspect_ratio",), formats=("jpeg", "png"))

    def __init__(self, *, api_key: str | None = None, base_url: str = BASE_URL) -> None:
        self._api_key = api_key
        self._base_url = base_url
        self._clients: dict[str, genai.Client] = {}
        self._lock = threading.Lock()

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Buy one picture. Raises the StepError that the answer calls for, see ``gemini_answer``."""
        client = self._client(request.endpoint.base_url if request.endpoint else self._base_url)
        body = _sent(client, request, _contents(request), _config(request))
        answer = read_answer(body, request.token_prices)
        return GeneratedPicture(answer.data, answer.cost_usd_micros, answer.trace_id)

    def check(self) -> Health:
        """Look for the SDK and the key; nothing is sent to anybody."""
        try:
            installed = f"google-genai {version('google-genai')}"
        except PackageNotFoundError:
            return Health(self.name, "bad", "the google-genai SDK is not installed", INSTALL)
        if not self._api_key:
            return Health(self.name, "bad", f"{installed} has no key", "set GEMINI_API_KEY")
        return Health(self.name, "ok", f"{installed}; GEMINI_API_KEY is set")

    def _client(self, base_url: str) -> genai.Client:
        """The process's client for an address. Raises Account when the key or the SDK is missing."""
        if not self._api_key:
            raise Account(f"{SERVICE} wants a key: set GEMINI_API_KEY")
        with self._lock:
            if base_url not in self._clients:
                self._clients[base_url] = _new_client(base_url, self._api_key)
            return self._clients[base_url]


def _new_client(base_url: str, api_key: str) -> genai.Client:
    """A client that sends each request once, over a connection of its own.

    Raises Account without the SDK, and for an address that is none.
    """
    if not _is_address(base_url):
        raise Account(f"the address of {SERVICE}, {base_url!r}, cannot be used; correct base_url")
    try:
        from google import genai
        from google.genai import types

        http_client = new_client()
    except ImportError as error:
        raise Account(f"the google-genai SDK cannot be imported ({error}); {INSTALL}") from error
    http_client.event_hooks["request"].append(_connect_soon)
    options = types.HttpOptions(base_url=base_url, api_version=_API_VERSION, httpx_client=http_client)
    return genai.Client(vertexai=False, api_key=api_key, http_options=options)


def _is_address(base_url: str) -> bool:
    try:
        parts = urlsplit(base_url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _connect_soon(request: Any) -> None:
    """For the ``request`` hooks: the SDK has one time-out for everything, and a picture takes long to draw."""
    limits = request.extensions["timeout"]
    limits["connect"] = min(CONNECT_SECONDS, limits["connect"])


def _contents(request: GenerationRequest) -> list[Any]:
    """The prompt and the pictures to start from. Raises Invalid for one that is none, NotSent for one that is gone."""
    from google.genai import types

    return [request.prompt, *(types.Part.from_bytes(data=data, mime_type=kind) for data, kind in _references(request))]


def _references(request: GenerationRequest) -> Iterator[tuple[bytes, str]]:
    for path in request.references:
        data = _read(path)
        try:
            yield data, inspect(data).content_type
        except BadBytes as error:
            raise Invalid(f"the reference {path.name}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotSent(f"the reference {path.name} cannot be read: {error}") from error


def _config(request: GenerationRequest) -> types.GenerateContentConfig:
    """What the parameters ask for. Raises Invalid for one that is not taken."""
    from google.genai import types

    asked = request.parameters
    if unknown := sorted(set(asked) - set(_PARAMETERS)):
        raise Invalid(f"{SERVICE} does not take {', '.join(unknown)}; it takes {', '.join(_PARAMETERS)}")
    seed, level = asked.get("seed"), asked.get("thinking_level")
    try:
        return types.GenerateContentConfig(
            response_modalities=["IMAGE"],
            image_config=types.ImageConfig(
                aspect_ratio=asked.get("aspect_ratio"), image_size=asked.get("resolution", "").upper() or None
            ),
            seed=None if seed is None else int(seed),
            thinking_config=None if level is None else types.ThinkingConfig.model_validate({"thinking_level": level}),
            automatic_continuation=False,
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            should_return_http_response=True,
            http_options=types.HttpOptions(timeout=max(round(request.deadline_seconds * 1000), 1)),
        )
    except ValueError as error:
        raise Invalid(f"{SERVICE} cannot be asked with these parameters: {error}") from error


def _sent(
    client: genai.Client, request: GenerationRequest, contents: list[Any], config: types.GenerateContentConfig
) -> str:
    """Send the paid request: the body of its success answer."""
    import httpx2
    from google.genai import errors

    with Deadline(request.deadline_seconds) as deadline:
        try:
            answer = client.models.generate_content(model=request.model, contents=contents, config=config)
        except errors.APIError as error:
            raise _status_error(error) from error
        except (httpx2.RequestError, UnicodeDecodeError) as error:
            raise no_answer(error, SERVICE, deadline) from error
        if not deadline.left_seconds:  # cut, and the answer did not say how long it would be
            raise too_late(SERVICE, deadline)
    raw = answer.sdk_http_response
    return (raw.body if raw else None) or ""


def _status_error(error: errors.APIError) -> StepError:
    headers: Any = getattr(error.response, "headers", {})
    asked_seconds = parse_retry_after(headers.get("retry-after"), datetime.now(UTC))
    return failure(error.code, error.details, asked_seconds)
