"""Names and addresses of objects, without a server."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ParamValidationError, ReadTimeoutError

from tasks.core.errors import ConfigurationError, Invalid, NotSent, Overloaded, StepError
from tasks.storage.locations import staging_from_url
from tasks.storage.s3 import S3Staging
from tasks.storage.s3_client import S3ClientFactory, S3Connection
from tasks.storage.s3_errors import s3_errors
from tasks.storage.s3_urls import object_url


@pytest.mark.parametrize(
    ("place", "url"),
    [
        (
            {"bucket": "shop", "region": "ap-northeast-2"},
            "https://shop.s3.ap-northeast-2.amazonaws.com/%EB%A8%B8%EA%B7%B8/a%2Bb%20c.png",
        ),
        (
            {"bucket": "img.shop.kr", "region": "ap-northeast-2"},
            "https://s3.ap-northeast-2.amazonaws.com/img.shop.kr/%EB%A8%B8%EA%B7%B8/a%2Bb%20c.png",
        ),
        (
            {"bucket": "shop", "region": "cn-north-1"},
            "https://shop.s3.cn-north-1.amazonaws.com.cn/%EB%A8%B8%EA%B7%B8/a%2Bb%20c.png",
        ),
        (
            {"bucket": "shop", "region": "x", "endpoint_url": "http://127.0.0.1:9000/"},
            "http://127.0.0.1:9000/shop/%EB%A8%B8%EA%B7%B8/a%2Bb%20c.png",
        ),
        (
            {"bucket": "shop", "region": "x", "endpoint_url": "http://e", "base_url": "https://cdn.example.com/i/"},
            "https://cdn.example.com/i/%EB%A8%B8%EA%B7%B8/a%2Bb%20c.png",
        ),
    ],
)
def test_public_urls(place: dict[str, Any], url: str) -> None:
    """A CDN wins, then the endpoint by path, then the regional host; a dotted bucket goes into the path."""
    assert object_url(key="머그/a+b c.png", **place) == url


def test_staging_url_of_a_bucket() -> None:
    """s3://bucket/prefix gives S3 staging under that prefix; no request is sent and no client made."""
    factory = S3ClientFactory(S3Connection())
    staging = staging_from_url("s3://shop/staging/a/", factory)
    assert isinstance(staging, S3Staging)
    assert (staging.bucket, staging.object_key("x/y.png")) == ("shop", "staging/a/x/y.png")
    bare = staging_from_url("s3://shop", factory)
    assert isinstance(bare, S3Staging)
    assert bare.object_key("y.png") == "y.png"


@pytest.mark.parametrize(
    "url",
    ["", "/var/staging", "ftp://x/y", "file://", "file:///", "file://host/x", "s3:///x", "s3://b/p?x=1", "file:///a#b"],
)
def test_other_staging_urls_are_refused(url: str) -> None:
    """The error names the variable, the value and how to write it."""
    with pytest.raises(ConfigurationError, match=r"STAGING_URL=.*s3://bucket/prefix"):
        staging_from_url(url, S3ClientFactory(S3Connection()))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ParamValidationError(report="bad"), Invalid),
        (EndpointConnectionError(endpoint_url="http://x"), NotSent),
        (ReadTimeoutError(endpoint_url="http://x"), Overloaded),
    ],
)
def test_botos_own_errors(error: Exception, expected: type[StepError]) -> None:
    """Errors that never were an answer get their class too."""
    with pytest.raises(expected), s3_errors("shop", "S3_BUCKET"):
        raise error
