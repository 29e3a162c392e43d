"""Rows that lie in S3: an object's bytes, for a worker to plan from."""

from __future__ import annotations

from collections.abc import Iterator

from botocore.exceptions import ClientError

from tasks.core.errors import Invalid
from tasks.storage.s3_client import S3ClientFactory
from tasks.storage.s3_errors import error_code, s3_errors

_BLOCK_BYTES = 1 << 20
_MISSING = {"NoSuchKey", "404"}


def read_object(client: S3ClientFactory, url: str) -> Iterator[bytes]:
    """The object of ``s3://bucket/key``, in pieces of a megabyte. Raises StepError of the fitting class."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    if not (bucket and key):
        raise Invalid(f"{url} names no object; write it like s3://bucket/products.csv")
    with s3_errors(bucket, f"the source {url}"):
        try:
            body = client().get_object(Bucket=bucket, Key=key)["Body"]
        except ClientError as error:
            if error_code(error) in _MISSING:
                raise Invalid(f"there is no {url}; check the bucket and the key") from error
            raise
        yield from body.iter_chunks(_BLOCK_BYTES)
