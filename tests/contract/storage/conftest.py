"""The stores under test, each with what a test needs to look at it from outside."""

from __future__ import annotations

import hashlib
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks.storage.base import PublicStore, StagedPicture, Staging
from tasks.storage.folder import FolderPublic, FolderStaging
from tasks.storage.s3 import S3Public, S3Staging
from tasks.storage.s3_client import S3ClientFactory, S3Connection
from tests.stand_ins.missing import missing_service
from tests.stand_ins.moto_s3 import moto_s3
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.swift import SwiftUnavailable, swift_s3

CACHE_CONTROL = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Store:
    """One implementation. ``staging_elsewhere`` is staging that the public store cannot copy from by itself."""

    staging: Staging
    public: PublicStore
    staging_elsewhere: Staging


@dataclass(frozen=True)
class Bucket:
    """A fresh public bucket on a server, reached through the project's own client."""

    server: S3Server
    name: str
    factory: S3ClientFactory

    def staging(self, prefix: str = "staging") -> S3Staging:
        return S3Staging(self.factory, self.name, prefix)

    def public(self, base_url: str | None = None) -> S3Public:
        return S3Public(
            self.factory,
            self.name,
            region=self.server.region,
            base_url=base_url or self.server.public_url(self.name),
            cache_control=CACHE_CONTROL,
        )


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """S3 as moto plays it."""
    with moto_s3() as server:
        yield server


@pytest.fixture(scope="session")
def swift_server() -> Iterator[S3Server]:
    """S3 as OpenStack Swift speaks it; skipped on a laptop that cannot install it, a failure in CI."""
    try:
        with swift_s3() as server:
            yield server
    except SwiftUnavailable as error:
        missing_service(str(error))


@pytest.fixture(params=["moto", "swift"])
def s3_server(request: pytest.FixtureRequest) -> S3Server:
    """Each S3 server in turn."""
    server = request.getfixturevalue(f"{request.param}_server")
    assert isinstance(server, S3Server)
    return server


@pytest.fixture
def bucket(s3_server: S3Server, shared_factory: Callable[[S3Server], S3ClientFactory]) -> Bucket:
    """A fresh bucket on each S3 server in turn."""
    return _fresh_bucket(s3_server, shared_factory)


@pytest.fixture(scope="session")
def shared_factory() -> Iterator[Callable[[S3Server], S3ClientFactory]]:
    """One client factory for each server and the whole session: building clients is what costs time here."""
    factories: dict[str, S3ClientFactory] = {}

    def factory(server: S3Server) -> S3ClientFactory:
        if server.url not in factories:
            with pytest.MonkeyPatch.context() as patch:
                for name, value in server.environment.items():
                    patch.setenv(name, value)
                factories[server.url] = S3ClientFactory(S3Connection(server.region, server.url))
                factories[server.url]()
        return factories[server.url]

    yield factory
    for made in factories.values():
        made().close()


@pytest.fixture
def use_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., S3ClientFactory]]:
    """Credentials in the environment, as boto3 wants them, and a client factory for the server."""
    factories = []

    def use(server: S3Server, endpoint_url: str | None = None, read_timeout_seconds: float = 20.0) -> S3ClientFactory:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        connection = S3Connection(
            region=server.region,
            endpoint_url=endpoint_url or server.url,
            connect_timeout_seconds=5.0,
            read_timeout_seconds=read_timeout_seconds,
        )
        factories.append(S3ClientFactory(connection))
        return factories[-1]

    yield use
    for factory in factories:
        factory().close()


@pytest.fixture(params=["folder", "moto", "swift"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Each implementation in turn, empty."""
    elsewhere = FolderStaging(tmp_path / "elsewhere")
    if request.param == "folder":
        return Store(FolderStaging(tmp_path / "staging"), FolderPublic(tmp_path / "output"), elsewhere)
    server = request.getfixturevalue(f"{request.param}_server")
    made = _fresh_bucket(server, request.getfixturevalue("shared_factory"))
    return Store(made.staging(), made.public(), elsewhere)


def _fresh_bucket(server: S3Server, factory: Callable[[S3Server], S3ClientFactory]) -> Bucket:
    name = f"pictures-{uuid.uuid4().hex[:12]}"
    server.create_public_bucket(name)
    return Bucket(server, name, factory(server))


def stage(staging: Staging, key: str, data: bytes, content_type: str = "image/png") -> StagedPicture:
    """Put bytes into staging and describe them, as ``generate`` does."""
    staging.put(key, data, content_type)
    return StagedPicture(key, content_type, len(data), hashlib.sha256(data).hexdigest())


def fetch(url: str) -> tuple[bytes, dict[str, str]]:
    """Read a URL as anybody would: the body, and the headers by lower-case name."""
    with urllib.request.urlopen(url, timeout=10) as response:
        return response.read(), {name.lower(): value for name, value in response.headers.items()}
