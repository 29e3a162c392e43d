"""The rows that somebody sends with a request. A file goes to the disk as it comes, where nobody else can name it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import parse_qsl

from tasks.core.errors import ConfigurationError, InputError
from tasks.core.request import OPTIONS, SentRows, from_text
from tasks.settings import Settings
from tasks.web.http import Refused, Request

FILE = "source"
"""The field of a form that the rows are in."""

LARGEST_JSON_BYTES = 16_000_000
"""It is read at once, which takes ten times the memory; files are not."""

_ENDINGS = {
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "application/x-ndjson": ".jsonl",
    "application/jsonl": ".jsonl",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_KINDS = f"multipart/form-data with the file as {FILE!r}, application/json, {', '.join(_ENDINGS)}"
_LONGEST_FIELD_BYTES = 65_536
_MOST_FIELDS = 100
_NAME_CHARS = 50
"""A name on a disk has 255 bytes."""

Received = tuple[Path | SentRows, dict[str, Any]]


def most_bytes_of_rows(settings: Settings) -> int:
    """How long a body with rows may be."""
    return settings.preferences.max_upload_megabytes * 1_000_000


@contextmanager
def received(settings: Settings, request: Request) -> Iterator[Received]:
    """The rows, or a file of them for the length of the block, and the options of the batch.

    The file is alone in its folder, and rows may only name pictures beside it to start from: a sender can read none of
    the server's. Raises InputError for options or a body that cannot be meant, Refused for one that is too large or
    of a kind that holds no rows.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    most_bytes = most_bytes_of_rows(settings)
    with TemporaryDirectory(prefix="imagechord-") as made:
        folder = Path(made)
        if kind == "multipart/form-data":
            yield _form(folder, request.headers["content-type"], request.pieces(most_bytes))
        elif kind == "application/json":
            yield _json(b"".join(request.pieces(min(most_bytes, LARGEST_JSON_BYTES))))
        elif kind in _ENDINGS:
            yield _file(folder / f"rows{_ENDINGS[kind]}", request.pieces(most_bytes), request.query)
        else:
            raise Refused(415, f"rows come as {_KINDS}; this is {kind or 'nothing of a kind'}")


def _file(path: Path, pieces: Iterable[bytes], query: str) -> Received:
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
    return path, from_text(dict(parse_qsl(query)))


def _json(body: bytes) -> Received:
    """``{"template": …, "rows": [{…}, …]}`` with any other option. Numbers with a point stay as they are written."""
    try:
        sent = json.loads(body, parse_float=str)
    except ValueError as error:
        raise InputError(f"the body is not valid JSON: {error}") from error
    options = sent if isinstance(sent, dict) else {}
    rows = options.pop("rows", None)
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise InputError(f"there is no option {', '.join(map(repr, unknown))}; there are {', '.join(OPTIONS)}")
    if not isinstance(rows, list) or not rows:
        raise InputError('the body has no "rows"; write it like {"template": "product_hero", "rows": [{"sku": "A-1"}]}')
    return SentRows(rows), options


def _form(folder: Path, content_type: str, pieces: Iterable[bytes]) -> Received:
    try:
        import multipart  # of the extra web, as those that send JSON need not have it
    except ImportError as error:
        raise ConfigurationError("forms with files need multipart; install imagechord[web]") from error

    form = _Form(folder)
    try:
        _kind, options = multipart.parse_options_header(content_type)
        boundary = options.get("boundary", "")
        with multipart.PushMultipartParser(boundary, max_segment_count=_MOST_FIELDS) as parser:
            for piece in pieces:
                for event in parser.parse(piece):
                    form.take(event)
        return form.received()
    except (multipart.MultipartError, UnicodeDecodeError) as error:
        raise InputError(f"the form cannot be read: {error}") from error


class _Form:
    """Gathers what a parser tells of: the file goes to the disk as it comes, the other fields are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path: Path | None = None
        self._fields: dict[str, bytearray] = {}
        self._field: bytearray | None = None

    def take(self, event: Any) -> None:
        """The beginning of a field (which has a name), some of its bytes, or ``None`` for its end."""
        if isinstance(event, (bytes, bytearray)):
            self._add(event)
        elif event is not None:
            self._begin(event.name or "", event.filename)

    def received(self) -> Received:
        """When it is over. What a host's own protection has put into the form is no option."""
        if self._path is None:
            raise InputError(f"the form has no file; send the rows as one: {FILE}=@products.csv")
        fields = {name: text.decode() for name, text in self._fields.items() if not name.startswith("csrf")}
        return self._path, from_text(fields)

    def _begin(self, name: str, filename: str | None) -> None:
        self._field = None
        if name != FILE:
            self._field = self._fields[name] = bytearray()
        elif self._path is not None:
            raise InputError("the form has several files; send one batch with each request")
        elif filename:
            self._path = self._folder / _plain(filename)
            self._path.touch()

    def _add(self, some: bytes | bytearray) -> None:
        if self._field is not None:
            self._field += some
            if len(self._field) > _LONGEST_FIELD_BYTES:
                raise InputError(f"the form has a field of more than {_LONGEST_FIELD_BYTES:,} bytes")
        elif self._path is not None:
            with self._path.open("ab") as file:
                file.write(some)


def _plain(filename: str) -> str:
    """The last part of a sender's name for the file, in a length that every disk takes."""
    printable = "".join(filter(str.isprintable, filename.replace("\\", "/")))
    name = PurePosixPath(printable)
    return f"{name.stem[:_NAME_CHARS].strip('.') or 'rows'}{name.suffix[:10] or '.csv'}"
