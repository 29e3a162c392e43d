"""What a model is sent: the catalogue's parameters with JSON's types, and pictures to start from inside the JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.core.errors import BadBytes, Invalid
from tasks.pictures.inspect import Picture, inspect


def json_fields(parameters: Mapping[str, str]) -> dict[str, Any]:
    """The parameters as a strict server wants them: ``7`` and ``true`` are no texts, ``2K``, ``16:9`` and ``null`` are.

    A number that must stay a text is written as JSON does: ``"4"`` with its quotes.
    """
    return {name: _field(value) for name, value in parameters.items()}


def _field(value: str) -> Any:
    try:
        read = json.loads(value, parse_constant=str)
    except ValueError:
        return value
    return value if read is None else read


def read_reference(path: Path) -> tuple[bytes, Picture]:
    """A picture to start from, and what its bytes say of it. Raises Invalid for no picture."""
    try:
        data = path.read_bytes()
        return data, inspect(data)
    except (OSError, BadBytes) as error:
        raise Invalid(f"the reference picture {path.name} cannot be sent: {error}") from error


def data_uri(data: bytes, picture: Picture) -> str:
    """A picture as ``data:image/…;base64,…``."""
    return f"data:{picture.content_type};base64,{base64.b64encode(data).decode()}"
