"""Which encoding a text file has: byte-order mark, strict UTF-8, then CP949, as Excel writes them in Korea."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tasks.core.errors import InputError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NOT_TEXT = (
    (b"PK\x03\x04", "is an Excel workbook (or another zip file), not text; name it .xlsx"),
    (b"\xd0\xcf\x11\xe0", "is a workbook of an old Excel; save it as .xlsx or as CSV UTF-8"),
)
_CHUNK_BYTES = 1 << 20
_RESAVE = "save the file as CSV UTF-8 in Excel, or name its encoding with --encoding"


@dataclass(frozen=True, slots=True)
class _Undecodable:
    """Where a file stops being text in an encoding; ``offset`` counts bytes from 0, ``line`` from 1."""

    offset: int
    line: int
    byte: int


def find_encoding(path: Path, asked: str | None = None, most_bytes: int | None = None) -> str:
    """Return the name of the Python codec that decodes the whole file, or ``most_bytes`` of it.

    Reads once or twice, in pieces.

    Raises InputError when no encoding fits (naming line and byte), or ``asked`` is unknown or does not fit.
    """
    with path.open("rb") as file:
        head = file.read(4096)
    for signature, what in _NOT_TEXT:
        if head.startswith(signature):
            raise InputError(f"{path.name} {what}")
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    if not asked and not marked and b"\0" in head:
        raise InputError(f"{path.name} holds zero bytes: it is UTF-16 without a mark, or no text; {_RESAVE} utf-16-le")
    candidates = (_codec(asked),) if asked else (marked,) if marked else ("utf-8", "cp949")
    failures: list[tuple[_Undecodable, str]] = []
    for encoding in candidates:
        failure = _first_failure(path, encoding, most_bytes)
        if failure is None:
            return encoding
        failures.append((failure, encoding))
    raise _undecodable(path, failures)


def _codec(name: str) -> str:
    """Accept the user's name of an encoding; UTF-8 tolerates a mark."""
    try:
        info = codecs.lookup(name)
        "".encode(info.name)
    except (LookupError, UnicodeError) as error:
        raise InputError(f"--encoding {name}: there is no such encoding; try utf-8, cp949 or utf-16") from error
    return "utf-8-sig" if info.name == "utf-8" else info.name


def _undecodable(path: Path, failures: list[tuple[_Undecodable, str]]) -> InputError:
    """Blame the encoding that came furthest: it is most likely the file's own."""
    failure, encoding = max(failures, key=lambda pair: pair[0].offset)
    return InputError(
        f"{path.name}, line {failure.line}: byte 0x{failure.byte:02X} (number {failure.offset + 1} of the file) "
        f"is not {encoding.upper()} text; {_RESAVE}"
    )


def _first_failure(path: Path, encoding: str, most_bytes: int | None) -> _Undecodable | None:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    offset, line = 0, 1
    for chunk, last in _chunks(path, most_bytes):
        try:
            text = decoder.decode(chunk, last)
        except UnicodeDecodeError as error:
            good = bytes(error.object[: error.start]).decode(encoding, "replace")
            start = offset + len(chunk) - len(error.object) + error.start
            return _Undecodable(start, line + good.count("\n"), error.object[error.start])
        offset += len(chunk)
        line += text.count("\n")
    return None


def _chunks(path: Path, most_bytes: int | None) -> Iterator[tuple[bytes, bool]]:
    """Pieces of the file, and whether that is all; a beginning may end within a character."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk, False
            if most_bytes is not None and file.tell() >= most_bytes:
                return
    yield b"", True
