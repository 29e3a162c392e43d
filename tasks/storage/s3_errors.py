"""What S3 and boto3 say, in the project's error classes. Uploads are free and idempotent, so doubt means: again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from tasks.core.errors import Account, Invalid, NotSent, Overloaded, RateLimited, StepError
from tasks.core.retry_after import parse_retry_after
from tasks.storage.base import Missing

_KEYS = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_REGION = "set AWS_DEFAULT_REGION to the bucket's region"
_CLOCK = "set this machine's clock"
_MENDS = {
    "AccessDenied": "let these credentials s3:PutObject, s3:GetObject and s3:DeleteObject in the bucket",
    "AllAccessDisabled": "ask the owner of the bucket",
    "AccountProblem": "ask the owner of the AWS account",
    "AuthorizationHeaderMalformed": _REGION,
    "ExpiredToken": "renew the AWS session token",
    "IllegalLocationConstraintException": _REGION,
    "InvalidAccessKeyId": _KEYS,
    "InvalidToken": "renew the AWS session token",
    "PermanentRedirect": _REGION,
    "QuotaExceeded": "raise the quota of the bucket",
    "RequestTimeTooSkewed": _CLOCK,
    "SignatureDoesNotMatch": _KEYS,
}
_PASSING = {
    "BadDigest",
    "InternalError",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "XAmzContentSHA256Mismatch",
}
_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)
_UNREACHED = (EndpointConnectionError, ConnectTimeoutError, ProxyConnectionError)


@contextmanager
def s3_errors(bucket: str, setting: str) -> Iterator[None]:
    """Turn what boto3 raises into StepError. ``setting`` is the variable that names the bucket."""
    try:
        yield
    except ClientError as error:
        raise _answered(error, bucket, setting) from error
    except BotoCoreError as error:
        raise _not_answered(error, bucket) from error


def error_code(error: ClientError) -> str:
    """The store's own word, such as ``NoSuchKey``."""
    return str(error.response.get("Error", {}).get("Code", ""))


def _answered(error: ClientError, bucket: str, setting: str) -> StepError:
    code = error_code(error)
    answer = error.response.get("ResponseMetadata")
    status = answer["HTTPStatusCode"] if answer else 0
    header = answer["HTTPHeaders"].get("retry-after") if answer else None
    retry_after_seconds = parse_retry_after(header, datetime.now(UTC))
    told = f"bucket {bucket!r}: {code} (HTTP {status}): {error.response.get('Error', {}).get('Message', '')}"
    if code == "NoSuchBucket":
        return Account(f"there is no bucket {bucket!r}; create it or correct {setting}")
    if code == "NoSuchKey":
        return Missing(f"{told}. The picture is not there")
    if code in _PASSING or status >= 500:
        return Overloaded(told, retry_after_seconds=retry_after_seconds)
    if status == 429:
        return RateLimited(told, retry_after_seconds=retry_after_seconds)
    if code in _MENDS or status in {301, 401, 402, 403}:
        return Account(f"{told}; {_MENDS.get(code, _KEYS)}")
    return Invalid(told)


def _not_answered(error: BotoCoreError, bucket: str) -> StepError:
    if isinstance(error, _CREDENTIALS):
        return Account(f"bucket {bucket!r}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE")
    if isinstance(error, ParamValidationError | InvalidRegionError | ValueError):
        return Invalid(f"bucket {bucket!r}: {error}")
    if isinstance(error, _UNREACHED):
        return NotSent(f"bucket {bucket!r}: {error}; check the network and AWS_ENDPOINT_URL_S3")
    return Overloaded(f"bucket {bucket!r}: {error}")
