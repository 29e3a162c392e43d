"""What is sent to a server with OpenAI's image API."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.core.catalogue import Endpoint
from tasks.core.errors import BadBytes, Invalid
from tasks.pictures.inspect import inspect
from tasks.providers.base import GenerationRequest


@dataclass(frozen=True, slots=True)
class Call:
    """One paid request. ``files`` are the reference pictures of a form: name, bytes, content type."""

    model: str
    prompt: str
    fields: Mapping[str, Any]
    files: tuple[tuple[str, bytes, str], ...] = ()


def call_of(request: GenerationRequest, endpoint: Endpoint) -> Call:
    """What is to be sent. Raises Invalid for reference pictures that cannot be."""
    fields = {name: _field(value) for name, value in request.parameters.items()}
    if not request.references:
        return Call(request.model, request.prompt, fields)
    if endpoint.edits == "none":
        raise Invalid(f"{request.model} takes no reference pictures: its endpoint has edits = 'none' in models.toml")
    files = tuple(_reference(path) for path in request.references)
    if endpoint.edits == "form":
        return Call(request.model, request.prompt, fields, files)
    uris = [f"data:{kind};base64,{base64.b64encode(data).decode()}" for _, data, kind in files]
    return Call(request.model, request.prompt, {**fields, "image": uris if len(uris) > 1 else uris[0]})


def _field(value: str) -> Any:
    """A parameter as it is sent: JSON's types but for text, of which everything else is."""
    try:
        read = json.loads(value, parse_constant=str)
    except ValueError:
        return value
    return value if read is None or isinstance(read, str) else read


def _reference(path: Path) -> tuple[str, bytes, str]:
    """A reference picture with the name and type that its bytes have. Raises Invalid."""
    try:
        data = path.read_bytes()
        picture = inspect(data)
    except (OSError, BadBytes) as error:
        raise Invalid(f"the reference picture {path.name} cannot be sent: {error}") from error
    return f"{path.stem}.{picture.extension}", data, picture.content_type
