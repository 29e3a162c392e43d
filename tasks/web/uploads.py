"""The rows that somebody sends with a request, as a file that nobody else can name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl

from tasks.core.errors import ConfigurationError, InputError
from tasks.core.request import OPTIONS, from_text
from tasks.web.http import Refused, Request

LARGEST_BYTES = 32_000_000
"""Of what is sent: a hundred thousand rows of 300 bytes. Larger ones go through S3, or the command line."""

ADDRESS = "/api/batches"

FILE = "source"
"""The field of a form that the rows are in."""

_ENDINGS = {
    "text/csv": ".csv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_KINDS = f"multipart/form-data with the file as {FILE!r}, application/json, {', '.join(_ENDINGS)}"
_LONGEST_FIELD_BYTES = 65_536
_Sent = tuple[str, bytes, dict[str, Any]]
"""A file's name, its bytes, and the options that came with it."""


@contextmanager
def received(request: Request) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The rows as a file, for the length of the block, and the options of the batch.

    The file is alone in its folder, and rows may only name pictures beside it to start from: a sender can read none of
    the server's. Raises InputError for options or a body that cannot be meant, Refused for one that is too large or
    of a kind that holds no rows.
    """
    name, body, options = _sent(request)
    with TemporaryDirectory(prefix="imagechord-") as folder:
        path = Path(folder) / name
        path.write_bytes(body)
        yield path, options


def _sent(request: Request) -> _Sent:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = request.body(LARGEST_BYTES)
    if body is None:
        raise Refused(413, f"more than {LARGEST_BYTES:,} bytes; put the rows into S3, or submit them with imagechord")
    if kind == "multipart/form-data":
        return _form(request.headers["content-type"], body)
    if kind == "application/json":
        return _json(body)
    if kind in _ENDINGS:
        values = dict(parse_qsl(request.query))
        return f"rows{_ENDINGS[kind]}", body, from_text(values)
    raise Refused(415, f"rows come as {_KINDS}; this is {kind or 'nothing of a kind'}")


def _json(body: bytes) -> _Sent:
    """``{"template": …, "rows": [{…}, …]}`` with any other option."""
    try:
        sent = json.loads(body)
    except ValueError as error:
        raise InputError(f"the body is not valid JSON: {error}") from error
    rows = sent.pop("rows", None) if isinstance(sent, dict) else None
    if not isinstance(rows, list):
        raise InputError('the body has no "rows"; write it like {"template": "product_hero", "rows": [{"sku": "A-1"}]}')
    if unknown := sorted(set(sent) - set(OPTIONS)):
        raise InputError(f"there is no option {', '.join(map(repr, unknown))}; there are {', '.join(OPTIONS)}")
    return "rows.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode(), sent


def _form(content_type: str, body: bytes) -> _Sent:
    try:
        import multipart
    except ImportError as error:
        raise ConfigurationError("forms with files need multipart; install imagechord[web]") from error

    _kind, options = multipart.parse_options_header(content_type)
    file: tuple[str, bytes] | None = None
    fields: dict[str, str] = {}
    try:
        parts = multipart.MultipartParser(
            BytesIO(body), options.get("boundary", ""), memory_limit=2 * LARGEST_BYTES, disk_limit=1
        )
        for part in parts:
            if part.name == FILE and part.filename:
                file = _plain(part.filename), part.raw
            elif part.size <= _LONGEST_FIELD_BYTES:
                fields[part.name] = part.value
    except multipart.MultipartError as error:
        raise InputError(f"the form cannot be read: {error}") from error
    if file is None:
        raise InputError(f"the form has no file; give the rows as {FILE!r}")
    return *file, from_text(_without_tokens(fields))


def _without_tokens(fields: Mapping[str, str]) -> dict[str, str]:
    """What a host's own protection has put into the form is no option."""
    return {name: value for name, value in fields.items() if not name.startswith("csrf")}


def _plain(filename: str) -> str:
    """The last part of a sender's name for the file."""
    name = PurePosixPath(filename.replace("\\", "/").replace("\0", "")).name
    return name if name not in {"", ".", ".."} else "rows.csv"
