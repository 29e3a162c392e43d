"""Fetching the pictures that rows start from: each is read, looked at and put into staging once."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from tasks.core.errors import Ambiguous, NotSent, Overloaded, RateLimited, StepError
from tasks.core.plan import Row, RowProblem
from tasks.core.planning import Planner
from tasks.core.references import SKU, Reference, UnusableReference, is_local, key_of
from tasks.core.request import SentRows, is_s3
from tasks.ledger import referring
from tasks.ledger.referring import PublishedCopy
from tasks.pictures.inspect import Picture, inspect
from tasks.providers.fetch import PAID_FOR, fetch_picture
from tasks.services import Services
from tasks.storage.base import Missing

MOST_BYTES = 20_000_000
"""What the providers take of one picture, the strictest of them."""

Base = Path | str | None
"""Where the names of files begin: a folder, ``s3://bucket/folder``, or nowhere."""

_AT_ONCE = 8
_TRIES = 3
_FETCH_SECONDS = 30.0
_ALIVE_EVERY_SECONDS = 10.0
_CHUNK = 1000
_PASSING = (Ambiguous, NotSent, Overloaded, RateLimited)
_ANOTHER = "Name a PNG, JPEG, WebP or AVIF picture of at most 20 MB"


class References:
    """Finds pictures by their names in a ``reference`` column, those of a chunk of rows side by side.

    ``base`` is where the names of files begin. With ``stages`` the pictures are put into staging, and the ledger
    knows of them; without, they are only looked at. ``known`` is what was found at submission, of
    :meth:`as_known`. ``alive`` is called now and then while others are waited for.
    """

    def __init__(
        self,
        services: Services,
        base: Base,
        *,
        stages: bool,
        known: Mapping[str, Mapping[str, str]] | None = None,
        alive: Callable[[], object] = lambda: None,
    ) -> None:
        self._services = services
        self._base = base
        self._stages = stages
        self._alive = alive
        self._silent_until = 0.0
        self._found = {name: _from_known(name, each) for name, each in (known or {}).items()}

    def __call__(self, name: str) -> Reference:
        """The picture of a name. Raises UnusableReference when it cannot be had; the answer is the same ever after."""
        self.prepare([name])
        found = self._found[name]
        if isinstance(found, UnusableReference):
            raise found
        return found

    def prepare(self, names: Iterable[str]) -> None:
        """Find what has not been looked for yet, so that single rows need not wait for it."""
        new = [name for name in dict.fromkeys(names) if name not in self._found]
        if not new:
            return
        published = self._published([key_of(name) for name in new if name.startswith(SKU)])
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                for name, found in zip(new, pool.map(lambda name: self._look(name, published), new), strict=True):
                    self._found[name] = found
                    self._say_alive()
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @property
    def as_known(self) -> dict[str, dict[str, str]]:
        """All that has been found, ready for JSON."""
        return {name: _as_known(found) for name, found in self._found.items()}

    def _say_alive(self) -> None:
        if time.monotonic() > self._silent_until:
            self._alive()
            self._silent_until = time.monotonic() + _ALIVE_EVERY_SECONDS

    def _published(self, keys: list[str]) -> dict[str, PublishedCopy]:
        if not keys or not self._services.ledger_exists():
            return {}
        return referring.newest_published(self._services.ledger, keys)

    def _look(self, name: str, published: Mapping[str, PublishedCopy]) -> Reference | UnusableReference:
        try:
            data = _patiently(lambda: self._read(name, published))
            picture = inspect(data, max_bytes=MOST_BYTES)
            sha256 = hashlib.sha256(data).hexdigest()
            return Reference(name, sha256, self._staged(sha256, picture, data) if self._stages else "")
        except UnusableReference as error:
            return error
        except StepError as error:
            return UnusableReference(f"{name!r}: {str(error).removeprefix(PAID_FOR)}", f"{_ANOTHER}.")

    def _read(self, name: str, published: Mapping[str, PublishedCopy]) -> bytes:
        """The bytes behind a name. Raises UnusableReference or StepError."""
        if name.startswith(SKU):
            return self._earlier(key_of(name), published)
        if is_s3(name):
            return self._object(name)
        if not is_local(name):
            return fetch_picture(
                name,
                allow_private=self._services.settings.preferences.allow_private_provider_urls,
                max_bytes=MOST_BYTES,
                deadline_seconds=_FETCH_SECONDS,
            )
        if isinstance(self._base, str):
            return self._object(f"{self._base}/{name}")
        return _file(self._path(name))

    def _earlier(self, key: str, published: Mapping[str, PublishedCopy]) -> bytes:
        copy = published.get(key)
        if copy is None:
            raise UnusableReference(
                f"no picture of {key!r} has been published yet",
                "Correct the key, or run its row first and this one afterwards.",
            )
        for get, where in (
            (self._services.staging.get, copy.staging_key),
            (self._services.public.get, copy.output_key),
        ):
            try:
                if where is not None:
                    return get(where)
            except Missing:
                continue
        raise UnusableReference(f"the picture of {key!r} is not where it was published", "Run its row again first.")

    def _object(self, url: str) -> bytes:
        data = bytearray()
        for block in self._services.source_object(url):
            data += block
            if len(data) > MOST_BYTES:
                raise UnusableReference(f"{url!r} is longer than 20 MB", f"{_ANOTHER}.")
        return bytes(data)

    def _path(self, name: str) -> Path:
        """The file of a name, in a folder that pictures may be read from. Raises UnusableReference."""
        if not isinstance(self._base, Path):
            mend = "Submit the rows where the files are, or name them by https:// or s3://."
            raise UnusableReference(f"the file {name!r} was not there when the rows were submitted", mend)
        path = (self._base / name).resolve()
        folders = (self._base, *map(Path, self._services.settings.preferences.reference_folders))
        if not any(path.is_relative_to(folder.resolve()) for folder in folders):
            mend = "Move it there, or add its folder to reference_folders in imagechord.toml."
            raise UnusableReference(f"the file {name!r} is outside of the folder {self._base.resolve()}", mend)
        return path

    def _staged(self, sha256: str, picture: Picture, data: bytes) -> str:
        """Where the bytes are in staging; they are put there unless they are there already. Raises StepError."""
        there = referring.use_staged(self._services.ledger, sha256)
        if there is not None:
            return there
        # A name of its own each time: whoever removes an older copy at this moment must not remove this one.
        key = f"references/{sha256}-{secrets.token_hex(4)}.{picture.extension}"
        self._services.staging.put(key, data, picture.content_type)
        kept = referring.add_staged(self._services.ledger, sha256, key)
        if kept != key:
            self._services.staging.delete(key)
        return kept


def capture(
    services: Services, planner: Planner, rows: Iterable[Row | RowProblem], base: Base
) -> dict[str, dict[str, str]]:
    """Put the files that rows name into staging, for a worker that cannot see them; what came of each name."""
    references = References(services, base, stages=True)
    for some in _chunks(rows):
        references.prepare(name for row in some for name in planner.references_of(row) if is_local(name))
    return references.as_known


def base_of(source: object) -> Base:
    """Where the files begin that a source names: its own folder; for rows that are no file, the working folder."""
    if isinstance(source, SentRows):
        return None
    if is_s3(source):
        return str(source).rpartition("/")[0]
    return Path(source).parent if isinstance(source, str | Path) else Path()


def _chunks(rows: Iterable[Row | RowProblem]) -> Iterator[list[Row | RowProblem]]:
    iterator = iter(rows)
    while some := list(islice(iterator, _CHUNK)):
        yield some


def _file(path: Path) -> bytes:
    """Raises UnusableReference."""
    try:
        if not path.is_file():
            raise UnusableReference(
                f"there is no file {path}", "Correct the name; it begins in the folder of the rows."
            )
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnusableReference(f"{path} cannot be read: {error.strerror}", "Let this user read it.") from error


def _patiently(read: Callable[[], bytes]) -> bytes:
    """Try again what may pass: one lost packet must not refuse a batch. Raises what the last try did."""
    for tries in range(1, _TRIES):
        try:
            return read()
        except _PASSING:
            time.sleep(tries)
    return read()


def _as_known(found: Reference | UnusableReference) -> dict[str, str]:
    if isinstance(found, Reference):
        return {"sha256": found.sha256, "staging_key": found.staging_key}
    return {"message": found.message, "mend": found.mend}


def _from_known(name: str, known: Mapping[str, Any]) -> Reference | UnusableReference:
    return UnusableReference(**known) if "message" in known else Reference(name, **known)
