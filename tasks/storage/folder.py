"""Storage in a folder: staging on one machine (or a shared disk), and the article's ``output/{sku}.png``."""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tasks.core.errors import Account, Invalid, Overloaded, StepError
from tasks.core.health import Health
from tasks.core.pictures import StagedPicture
from tasks.storage.base import Missing, Staging
from tasks.storage.object_keys import segments
from tasks.storage.staged import read_staged

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_IMPOSSIBLE = {errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EILSEQ}


class FolderStaging:
    """Pictures that are paid for and not yet published, as files under ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, key: str, data: bytes, content_type: str) -> None:  # noqa: ARG002 – a file has no content type
        """Write the file whole or not at all, safe against a power cut. Raises Overloaded, Account or Invalid."""
        with os_errors(self.root):
            _write_whole(_path_inside(self.root, key), data)

    def get(self, key: str) -> bytes:
        """Read the file. Raises Missing when it is not there."""
        return _read(self.root, key)

    def delete(self, key: str) -> None:
        """Remove the file; one that is not there is fine."""
        with os_errors(self.root):
            _path_inside(self.root, key).unlink(missing_ok=True)

    def require_room(self, free_bytes: int) -> None:
        """Look at the disk. Raises Overloaded when less is free."""
        with os_errors(self.root):
            require_room(self.root, free_bytes)

    def check(self) -> Health:
        """Write, read and remove a probe file."""
        return _check_folder("staging", self.root, "STAGING_URL")


class FolderPublic:
    """Published pictures as files under ``root``; ``base_url`` is where a web server shows that folder.

    A file carries no metadata, content type or cache control: whoever serves the folder sets them.
    """

    def __init__(self, root: Path, base_url: str | None = None) -> None:
        self.root = root
        self.base_url = base_url.rstrip("/") if base_url else None

    def publish(
        self,
        staged: StagedPicture,
        staging: Staging,
        key: str,
        metadata: dict[str, str],  # noqa: ARG002 – a file has no metadata
    ) -> str:
        """Copy the staged picture to ``root/key`` and return its URL. Raises StepError of the fitting class."""
        data = read_staged(staging, staged)
        with os_errors(self.root):
            _write_whole(_path_inside(self.root, key), data)
        return self.url(key)

    def get(self, key: str) -> bytes:
        """Read the file. Raises Missing when it is not there."""
        return _read(self.root, key)

    def url(self, key: str) -> str:
        """``base_url/key``, or a ``file://`` URL when there is no base URL. Raises Invalid for an unsafe key."""
        path = self.root.resolve().joinpath(*segments(key))
        return f"{self.base_url}/{quote(key)}" if self.base_url else path.as_uri()

    def check(self) -> Health:
        """Write, read and remove a probe file."""
        return _check_folder("public storage", self.root, "IMAGECHORD_OUTPUT")


def require_room(folder: Path, free_bytes: int) -> None:
    """Raise Overloaded when less is free where ``folder`` is, or is going to be. Raises OSError."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(there).free
    if free < free_bytes:
        raise Overloaded(
            f"the disk of {folder} is nearly full ({free // 1_000_000:,} MB free, {free_bytes // 1_000_000:,} MB are "
            f"kept: min_free_disk_megabytes); free some space"
        )


def _path_inside(root: Path, key: str) -> Path:
    """Where a key lives. A symbolic link that leads out of the root is an escape too. Raises Invalid."""
    path = root.joinpath(*segments(key))
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise Invalid(f"key {key!r} leads out of {root} through a symbolic link")
    return path


def _read(root: Path, key: str) -> bytes:
    with os_errors(root):
        path = _path_inside(root, key)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise Missing(f"there is no picture {key!r} in {root}") from error


def _write_whole(path: Path, data: bytes) -> None:
    """Write beside the target, reach the disk, then rename: readers and crashes see the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".{uuid.uuid4().hex}.part"
    try:
        with part.open("xb") as file:  # not mkstemp: a published file must have the umask's mode, not 0600
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def os_errors(root: Path) -> Iterator[None]:
    """Turn the system's errors into StepError of the fitting class, which names ``root``."""
    try:
        yield
    except OSError as error:
        raise _translated(error, root) from error


def _translated(error: OSError, root: Path) -> StepError:
    if error.errno in _FULL:
        return Overloaded(f"the disk of {root} is full; free some space")
    if error.errno in _FORBIDDEN:
        return Account(f"{root} cannot be written ({error.strerror}); let the worker's user write there")
    if error.errno in _IMPOSSIBLE:
        return Invalid(f"{error.filename} cannot be a file ({error.strerror}); change the row's key or the key pattern")
    return Overloaded(f"{root}: {error.strerror or error}")


def _check_folder(component: str, root: Path, variable: str) -> Health:
    probe = FolderStaging(root)
    key = f".probe-{uuid.uuid4().hex}"
    try:
        probe.put(key, b"probe", "text/plain")
        intact = probe.get(key) == b"probe"
        probe.delete(key)
    except StepError as error:
        return Health(component, "bad", str(error), f"set {variable} to a folder that can be written")
    if not intact:
        return Health(component, "bad", f"{root} gives back other bytes than were written", "check the disk")
    return Health(component, "ok", f"folder {root}")
