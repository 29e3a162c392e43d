"""What only S3 has: headers, server-side copies, and errors in S3's own words."""

from __future__ import annotations

import base64
import hashlib
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.core.errors import Account, Invalid, NotSent, Overloaded, RateLimited, StepError
from tasks.storage.base import StagedPicture
from tasks.storage.folder import FolderStaging
from tasks.storage.s3 import S3Public, S3Staging
from tasks.storage.s3_client import S3ClientFactory
from tests.contract.storage.conftest import CACHE_CONTROL, Bucket, fetch, stage
from tests.stand_ins.flaky_s3 import FlakyS3, S3Fault
from tests.stand_ins.s3_server import S3Server

PICTURE = b"\xff\xd8 not really a JPEG, and S3 does not care" * 100
METADATA = {"fingerprint": "f" * 64, "sku": "머그컵"}
UseServer = Callable[..., S3ClientFactory]


@pytest.mark.parametrize("staged_in", ["s3", "folder"])
def test_published_headers(bucket: Bucket, tmp_path: Path, staged_in: str) -> None:
    """Content type, cache control and metadata are on the object, copied or uploaded; other scripts are quoted."""
    staging = bucket.staging() if staged_in == "s3" else FolderStaging(tmp_path)
    staged = stage(staging, "SKU-1.jpg", PICTURE, "image/jpeg")
    url = bucket.public().publish(staged, staging, "SKU-1.jpg", METADATA)
    _, headers = fetch(url)
    assert headers["content-type"] == "image/jpeg"
    assert headers["cache-control"] == CACHE_CONTROL
    head = bucket.factory().head_object(Bucket=bucket.name, Key="SKU-1.jpg")
    assert head["Metadata"] == {"fingerprint": "f" * 64, "sku": "%EB%A8%B8%EA%B7%B8%EC%BB%B5"}


def test_no_cache_control_unless_asked(bucket: Bucket) -> None:
    """With an empty setting no header is sent: the article's ``{sku}.png`` may then change under its URL."""
    public = S3Public(bucket.factory, bucket.name, base_url=bucket.server.public_url(bucket.name))
    _, headers = fetch(public.publish(stage(bucket.staging(), "a.png", PICTURE), bucket.staging(), "a.png", {}))
    assert "cache-control" not in headers


def test_the_copy_stays_inside_s3(moto_server: S3Server, use_server: UseServer) -> None:
    """With staging on the same S3 the upload sends no bytes: one copy request and nothing else."""
    moto_server.create_public_bucket("copies")
    with FlakyS3(moto_server.url) as proxy:
        factory = use_server(moto_server, proxy.url)
        staging = S3Staging(factory, "copies", "staging")
        staged = stage(staging, "SKU-1.png", PICTURE)
        del proxy.requests[:]
        url = S3Public(factory, "copies", endpoint_url=moto_server.url).publish(staged, staging, "SKU-1.png", {})
    assert [(r.method, len(r.body), r.headers["x-amz-metadata-directive"]) for r in proxy.requests] == [
        ("PUT", 0, "REPLACE")
    ]
    assert fetch(url)[0] == PICTURE


def test_a_picture_is_sent_without_asking_first(moto_server: S3Server, use_server: UseServer) -> None:
    """An upload of the usual size is one round trip; only a large one asks whether it may come."""
    moto_server.create_public_bucket("at-once")
    with FlakyS3(moto_server.url) as proxy:
        staging = S3Staging(use_server(moto_server, proxy.url), "at-once", "staging")
        staging.put("small.png", PICTURE, "image/png")
        staging.put("large.png", bytes(2 << 20), "image/png")
    assert [request.headers.get("Expect") for request in proxy.requests] == [None, "100-continue"]


def test_a_refused_copy_becomes_an_upload(moto_server: S3Server, use_server: UseServer) -> None:
    """Where the store will not copy (other owner, other region), the picture goes through the worker."""
    moto_server.create_public_bucket("refused-copies")
    with FlakyS3(moto_server.url) as proxy:
        factory = use_server(moto_server, proxy.url)
        staging = S3Staging(factory, "refused-copies", "staging")
        staged = stage(staging, "SKU-1.png", PICTURE)
        proxy.faults.append(S3Fault("AccessDenied", 403))
        url = S3Public(factory, "refused-copies", endpoint_url=moto_server.url).publish(staged, staging, "x.png", {})
    assert proxy.faults_answered == 1
    assert fetch(url)[0] == PICTURE


def test_old_stores_are_served(moto_server: S3Server, use_server: UseServer, tmp_path: Path) -> None:
    """Stores that refuse boto3's newer checksum headers accept our requests, which carry Content-MD5 instead."""
    moto_server.create_public_bucket("strict")
    digest = base64.b64encode(hashlib.md5(PICTURE).digest()).decode()
    with FlakyS3(moto_server.url, strict_headers=True) as proxy:
        factory = use_server(moto_server, proxy.url)
        staging = S3Staging(factory, "strict")
        staging.put("a.png", PICTURE, "image/png")
        assert staging.get("a.png") == PICTURE
        elsewhere = FolderStaging(tmp_path)
        public = S3Public(factory, "strict", endpoint_url=moto_server.url)
        public.publish(stage(elsewhere, "b.png", PICTURE), elsewhere, "b.png", {})
        assert [r.headers["Content-MD5"] for r in proxy.requests if r.method == "PUT"] == [digest, digest]


def test_a_wrong_key_is_the_accounts_trouble(
    swift_server: S3Server, use_server: UseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong secret is an Account error that names the variables to look at, and never the secret."""
    factory = use_server(swift_server)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")
    with pytest.raises(Account, match="AWS_SECRET_ACCESS_KEY") as caught:
        S3Staging(factory, "any").put("a.png", PICTURE, "image/png")
    assert "not-the-secret" not in str(caught.value)


def test_no_credentials_at_all(
    moto_server: S3Server, use_server: UseServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without credentials nothing is sent, and the message says what to set."""
    factory = use_server(moto_server)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(Account, match="set AWS_ACCESS_KEY_ID"):
        S3Staging(factory, "any").put("a.png", PICTURE, "image/png")


def test_a_missing_bucket_is_named(s3_server: S3Server, use_server: UseServer) -> None:
    """The error names the bucket and the variable that names it."""
    factory = use_server(s3_server)
    with pytest.raises(Account, match="no bucket 'not-there'; create it or correct STAGING_URL"):
        S3Staging(factory, "not-there").put("a.png", PICTURE, "image/png")
    assert S3Staging(factory, "not-there").check().status == "bad"
    health = S3Public(factory, "not-there").check()
    assert health.status == "bad"
    assert "correct S3_BUCKET" in health.detail


@pytest.mark.parametrize(
    ("fault", "expected", "retry_after_seconds"),
    [
        (S3Fault("SlowDown", 503), Overloaded, None),
        (S3Fault("SlowDown", 503, headers={"Retry-After": "7"}), Overloaded, 7.0),
        (S3Fault("InternalError", 500), Overloaded, None),
        (S3Fault("RequestTimeout", 400), Overloaded, None),
        (S3Fault("BadDigest", 400), Overloaded, None),
        (S3Fault("TooManyRequests", 429, headers={"Retry-After": "3"}), RateLimited, 3.0),
        (S3Fault("AccessDenied", 403), Account, None),
        (S3Fault("ExpiredToken", 400), Account, None),
        (S3Fault("AuthorizationHeaderMalformed", 400), Account, None),
        (S3Fault("KeyTooLongError", 400), Invalid, None),
        (S3Fault(disconnect=True), Overloaded, None),
    ],
    ids=lambda value: f"{value.code}-{value.status}" if isinstance(value, S3Fault) else None,
)
def test_errors_get_their_class(
    moto_server: S3Server,
    use_server: UseServer,
    fault: S3Fault,
    expected: type[StepError],
    retry_after_seconds: float | None,
) -> None:
    """Each answer of S3 becomes the class that decides about retrying, after exactly one request."""
    with FlakyS3(moto_server.url, fault) as proxy:
        staging = S3Staging(use_server(moto_server, proxy.url), "any")
        with pytest.raises(expected) as caught:
            staging.put("a.png", PICTURE, "image/png")
        assert type(caught.value) is expected
        assert caught.value.retry_after_seconds == retry_after_seconds
        assert caught.value.__cause__ is not None
        assert len(proxy.requests) == 1


def test_a_slow_store_is_overloaded(moto_server: S3Server, use_server: UseServer) -> None:
    """A read timeout ends the call within its limit; uploading again costs nothing."""
    with FlakyS3(moto_server.url, S3Fault(delay_seconds=30)) as proxy:
        staging = S3Staging(use_server(moto_server, proxy.url, read_timeout_seconds=0.3), "any")
        with pytest.raises(Overloaded, match="timeout"):
            staging.put("a.png", PICTURE, "image/png")


def test_an_unreachable_store_was_not_asked(moto_server: S3Server, use_server: UseServer) -> None:
    """A closed port is NotSent, with a hint at the endpoint's variable."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        factory = use_server(moto_server, f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(NotSent, match="AWS_ENDPOINT_URL_S3"):
            S3Staging(factory, "any").put("a.png", PICTURE, "image/png")


def test_a_bucket_that_nobody_can_read(moto_server: S3Server, use_server: UseServer) -> None:
    """The check writes, and warns that the URLs answer an error to the public."""
    moto_server.create_public_bucket("hidden")
    with FlakyS3(moto_server.url, S3Fault("AccessDenied", 403, method="GET")) as cdn:
        public = S3Public(use_server(moto_server), "hidden", base_url=f"{cdn.url}/hidden", probe_prefix="shop/")
        health = public.check()
    assert health.status == "ok"
    assert "answer 403" in health.detail
    assert "PUBLIC_BASE_URL" in health.mend


def test_a_cdn_that_is_not_there(moto_server: S3Server, use_server: UseServer) -> None:
    """A PUBLIC_BASE_URL that nothing answers is warned about by the check; the bucket itself is fine."""
    moto_server.create_public_bucket("no-cdn")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        health = S3Public(use_server(moto_server), "no-cdn", base_url=base_url).check()
    assert health.status == "ok"
    assert "answer ConnectionError" in health.detail


def test_publishing_needs_no_right_to_delete(moto_server: S3Server, use_server: UseServer) -> None:
    """Credentials that may only write pass the check; the one probe object stays and is named."""
    moto_server.create_public_bucket("write-only")
    with FlakyS3(moto_server.url, S3Fault("AccessDenied", 403, method="DELETE")) as proxy:
        public = S3Public(use_server(moto_server, proxy.url), "write-only", endpoint_url=moto_server.url)
        health = public.check()
    assert health.status == "ok"
    assert ".imagechord-probe stays" in health.detail


def test_the_client_is_made_once(moto_server: S3Server, use_server: UseServer) -> None:
    """All threads of a process share one client."""
    factory = use_server(moto_server)
    assert factory() is factory()


def test_a_picture_damaged_on_its_way_is_sent_again(swift_server: S3Server, use_server: UseServer) -> None:
    """A store that checks digests refuses a flipped bit, nothing is stored, and the upload may be tried again."""
    swift_server.create_public_bucket("damage")
    with FlakyS3(swift_server.url, damage=True) as proxy:
        staging = S3Staging(use_server(swift_server, proxy.url), "damage")
        with pytest.raises(Overloaded, match=r"BadDigest|SHA256Mismatch"):
            staging.put("a.png", PICTURE, "image/png")
        proxy.damage = False
        with pytest.raises(Invalid):
            staging.get("a.png")
        staging.put("a.png", PICTURE, "image/png")
        assert staging.get("a.png") == PICTURE


FORKED = """
import os
from tasks.storage.s3_client import S3ClientFactory, S3Connection
factory = S3ClientFactory(S3Connection("us-east-1"))
parents = factory()
child = os.fork()
if child == 0:
    os._exit(0 if factory() is not parents and factory() is factory() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), factory() is parents)
"""


def test_a_forked_worker_makes_its_own_client() -> None:
    """A prefork child does not share its parent's connections; the parent keeps its client."""
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", FORKED], check=True, capture_output=True, text=True, cwd=root)
    assert done.stdout.split() == ["0", "True"]


def test_region_comes_from_the_client(moto_server: S3Server, use_server: UseServer) -> None:
    """Without a region of its own, the public URL takes the one that boto3 resolved."""
    assert S3Public(use_server(moto_server), "shop").url("a b.png") == (
        "https://shop.s3.us-east-1.amazonaws.com/a%20b.png"
    )


def test_staged_elsewhere_on_s3(bucket: Bucket, use_server: UseServer) -> None:
    """Staging on another S3 account is read and uploaded, not copied."""
    other = S3Staging(use_server(bucket.server), bucket.name, "other")
    staged: StagedPicture = stage(other, "SKU-1.png", PICTURE)
    assert fetch(bucket.public().publish(staged, other, "SKU-1.png", {}))[0] == PICTURE
