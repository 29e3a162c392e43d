"""What a model is sent: the catalogue's parameters with JSON's types, and pictures to start from inside the JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.core.errors import BadBytes, Invalid
from tasks.pictures.inspect import inspect


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


def read_reference(path: Path) -> tuple[bytes, str]:
    """A picture to start from and its content type, which its bytes tell. Raises Invalid for no picture."""
    try:
        data = path.read_bytes()
        return data, inspect(data).content_type
    except (OSError, BadBytes) as error:
        raise Invalid(f"the reference picture {path.name} cannot be sent: {error}") from error


def data_uri(path: Path) -> str:
    """A picture to start from as ``data:image/…;base64,…``. Raises Invalid for no picture."""
    data, content_type = read_reference(path)
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"
