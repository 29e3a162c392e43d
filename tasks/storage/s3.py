"""Staging and public storage on S3 and what is compatible with it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import quote

import requests
from botocore.exceptions import ClientError

from tasks.core.errors import Account, StepError
from tasks.core.health import Health
from tasks.core.pictures import StagedPicture
from tasks.storage.base import Staging
from tasks.storage.object_keys import segments
from tasks.storage.s3_errors import error_code, s3_errors
from tasks.storage.s3_urls import object_url
from tasks.storage.staged import read_staged

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PROBE = ".imagechord-probe"  # one fixed name: where deleting is not allowed, one small object stays, not many
_METADATA_SAFE = " !#$&'()*+,/:;=?@[]"  # S3 metadata are HTTP headers: ASCII, on one line
_NOT_THE_COPYS_FAULT = {"NoSuchKey", "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout"}


class _Caching(TypedDict, total=False):
    CacheControl: str


class S3Staging:
    """Pictures that are paid for and not yet published, as objects ``prefix/key``: for workers on several machines."""

    def __init__(self, client_factory: Callable[[], S3Client], bucket: str, prefix: str = "") -> None:
        self.client_factory = client_factory
        self.bucket = bucket
        self.prefix = prefix.strip("/")

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store the bytes; the store checks their digest. Raises StepError of the fitting class."""
        name = self.object_key(key)
        with self._errors():
            self.client_factory().put_object(
                Bucket=self.bucket, Key=name, Body=data, ContentType=content_type, ContentMD5=_md5(data)
            )

    def get(self, key: str) -> bytes:
        """Read them back. Raises Missing when there is no such key."""
        name = self.object_key(key)
        with self._errors():
            return self.client_factory().get_object(Bucket=self.bucket, Key=name)["Body"].read()

    def delete(self, key: str) -> None:
        """Remove; a key that is not there is fine."""
        name = self.object_key(key)
        with self._errors():
            self.client_factory().delete_object(Bucket=self.bucket, Key=name)

    def require_room(self, free_bytes: int) -> None:
        """Nothing: a bucket does not tell."""

    def check(self) -> Health:
        """Write, read and remove a probe."""
        try:
            self.put(_PROBE, b"probe", "text/plain")
            intact = self.get(_PROBE) == b"probe"
            self.delete(_PROBE)
        except StepError as error:
            return Health("staging", "bad", str(error), "check STAGING_URL and the AWS_ variables")
        if not intact:
            return Health("staging", "bad", f"bucket {self.bucket!r} gives back other bytes than were written")
        return Health("staging", "ok", f"s3://{self.bucket}/{self.prefix}")

    def object_key(self, key: str) -> str:
        """The key inside the bucket. Raises Invalid for an unsafe key."""
        segments(key)
        return f"{self.prefix}/{key}" if self.prefix else key

    def _errors(self) -> AbstractContextManager[None]:
        return s3_errors(self.bucket, "STAGING_URL")


class S3Public:
    """Published pictures as objects with their content type, cache control and metadata.

    ``cache_control`` is written as it is. ``probe_prefix`` is where ``check`` may write. Who may read the
    bucket is its owner's decision (a policy, a CDN): no ACL is ever set here.
    """

    def __init__(  # noqa: PLR0913 – each is one setting, and named at the call
        self,
        client_factory: Callable[[], S3Client],
        bucket: str,
        *,
        region: str | None = None,
        base_url: str | None = None,
        endpoint_url: str | None = None,
        cache_control: str = "",
        probe_prefix: str = "",
    ) -> None:
        self.client_factory = client_factory
        self.bucket = bucket
        self.region = region
        self.base_url = base_url
        self.endpoint_url = endpoint_url
        self.cache_control = cache_control
        self.probe_key = "/".join(part for part in (probe_prefix.strip("/"), _PROBE) if part)

    def publish(self, staged: StagedPicture, staging: Staging, key: str, metadata: dict[str, str]) -> str:
        """Copy inside S3 where that is possible, else read and put; return the URL. Raises StepError."""
        segments(key)
        ascii_metadata = {name: quote(value, safe=_METADATA_SAFE) for name, value in metadata.items()}
        if not self._copied(staged, staging, key, ascii_metadata):
            self._put(key, read_staged(staging, staged), staged.content_type, ascii_metadata)
        return self.url(key)

    def get(self, key: str) -> bytes:
        """Read a published picture back, with the credentials. Raises Missing when there is no such key."""
        segments(key)
        with self._errors():
            return self.client_factory().get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def url(self, key: str) -> str:
        """The public URL of a key, correctly quoted."""
        region = self.region or self.client_factory().meta.region_name
        return object_url(
            key=key, bucket=self.bucket, region=region, base_url=self.base_url, endpoint_url=self.endpoint_url
        )

    def check(self) -> Health:
        """Write a probe, read it as the public would, remove it."""
        try:
            self._put(self.probe_key, b"probe", "text/plain", {})
            answer = _public_answer(self.url(self.probe_key))
            deleted = self._probe_deleted()
        except StepError as error:
            return Health("public storage", "bad", str(error), "check S3_BUCKET and the AWS_ variables")
        detail = f"bucket {self.bucket!r} can be written" + ("" if deleted else f" ({self.probe_key} stays)")
        if answer == "200":
            return Health("public storage", "ok", f"{detail}, and its URLs can be read")
        mend = "let the public read the bucket, or set PUBLIC_BASE_URL to the CDN in front of it"
        return Health("public storage", "ok", f"{detail}, but its URLs answer {answer} without credentials", mend)

    def _put(self, key: str, data: bytes, content_type: str, metadata: dict[str, str]) -> None:
        with self._errors():
            self.client_factory().put_object(
                Bucket=self.bucket,
                Key=key,
                Body=data,
                ContentType=content_type,
                ContentMD5=_md5(data),
                Metadata=metadata,
                **self._caching(),
            )

    def _copied(self, staged: StagedPicture, staging: Staging, key: str, metadata: dict[str, str]) -> bool:
        """Copy without the bytes passing through this machine. False where the store cannot or will not."""
        if not isinstance(staging, S3Staging) or staging.client_factory is not self.client_factory:
            return False
        source = staging.object_key(staged.key)
        with self._errors():
            try:
                self.client_factory().copy_object(
                    Bucket=self.bucket,
                    Key=key,
                    CopySource={"Bucket": staging.bucket, "Key": source},
                    MetadataDirective="REPLACE",
                    ContentType=staged.content_type,
                    Metadata=metadata,
                    **self._caching(),
                )
            except ClientError as error:
                if error_code(error) in _NOT_THE_COPYS_FAULT:
                    raise
                return False  # other region, other owner, not implemented: get and put says what is wrong, if anything
        return True

    def _caching(self) -> _Caching:
        return {"CacheControl": self.cache_control} if self.cache_control else {}

    def _probe_deleted(self) -> bool:
        try:
            with self._errors():
                self.client_factory().delete_object(Bucket=self.bucket, Key=self.probe_key)
        except Account:  # publishing needs no right to delete
            return False
        return True

    def _errors(self) -> AbstractContextManager[None]:
        return s3_errors(self.bucket, "S3_BUCKET")


def _md5(data: bytes) -> str:
    """``Content-MD5``: the one digest that every S3-compatible store verifies."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _public_answer(url: str) -> str:
    """The status that somebody without credentials gets, or why there is none."""
    try:
        return str(requests.get(url, timeout=10).status_code)
    except requests.RequestException as error:
        return type(error).__name__
