"""From ``STAGING_URL`` to the store it names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tasks.core.errors import ConfigurationError
from tasks.storage.base import Staging
from tasks.storage.folder import FolderStaging

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

_MEND = "write it like file:///var/lib/imagechord/staging or s3://bucket/prefix"


def staging_from_url(url: str, client_factory: Callable[[], S3Client]) -> Staging:
    """The staging store of a URL. ``client_factory`` is called only when S3 is used.

    Give :class:`S3Public` the same factory: then pictures are copied inside S3.
    Raises ConfigurationError for anything but ``file:///…`` and ``s3://bucket/prefix``.
    """
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.query or parts.fragment:
        raise ConfigurationError(f"STAGING_URL={url!r} has a '?' or '#' in it; {_MEND}")
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and path.strip("/"):
        return FolderStaging(Path(path))
    if parts.scheme == "s3" and parts.netloc:
        from tasks.storage.s3 import S3Staging  # boto3 is slow to import, and a folder does not need it

        return S3Staging(client_factory, parts.netloc, path)
    raise ConfigurationError(f"STAGING_URL={url!r} names no place to stage pictures; {_MEND}")
