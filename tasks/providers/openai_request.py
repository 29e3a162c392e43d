"""What is sent to a server with OpenAI's image API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.core.catalogue import Endpoint
from tasks.core.errors import Invalid
from tasks.providers.base import GenerationRequest
from tasks.providers.inputs import data_uri, json_fields, read_reference


@dataclass(frozen=True, slots=True)
class Call:
    """One paid request. ``files`` are the reference pictures of a form: name, bytes, content type."""

    model: str
    prompt: str
    fields: Mapping[str, Any]
    files: tuple[tuple[str, bytes, str], ...] = ()


def call_of(request: GenerationRequest, endpoint: Endpoint) -> Call:
    """What is to be sent. Raises Invalid for reference pictures that cannot be."""
    fields = json_fields(request.parameters)
    if not request.references:
        return Call(request.model, request.prompt, fields)
    if endpoint.edits == "none":
        raise Invalid(f"{request.model} takes no reference pictures: its endpoint has edits = 'none' in models.toml")
    references = [(path.stem, *read_reference(path)) for path in request.references]
    if endpoint.edits == "form":
        files = tuple((f"{name}.{picture.extension}", data, picture.content_type) for name, data, picture in references)
        return Call(request.model, request.prompt, fields, files)
    uris = [data_uri(data, picture) for _name, data, picture in references]
    return Call(request.model, request.prompt, {**fields, "image": uris if len(uris) > 1 else uris[0]})
