"""What the tests with real workers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.stack import PATIENT, Stack, anycap_variables
from tests.real_anycap import real_anycap
from tests.stand_ins.anycap_api import AnycapApi
from tests.stand_ins.missing import missing_service
from tests.stand_ins.moto_s3 import moto_s3
from tests.stand_ins.postgres import PostgresServer, PostgresUnavailable, postgres
from tests.stand_ins.s3_server import S3Server
from tests.stand_ins.swift import SwiftUnavailable, swift_s3

MakeStack = Callable[..., Stack]


@pytest.fixture
def api() -> Iterator[AnycapApi]:
    """A stand-in for AnyCap's server."""
    with AnycapApi() as server:
        yield server


@pytest.fixture
def make_stack(tmp_path: Path, api: AnycapApi) -> Iterator[MakeStack]:
    """Make an installation whose ``anycap`` is the real program, talking to the stand-in."""
    with ExitStack() as entered:

        def make(preferences: str = PATIENT, **variables: str) -> Stack:
            anycap = anycap_variables(api, real_anycap(), tmp_path / "bin")
            return entered.enter_context(Stack(tmp_path / "stack", {**anycap, **variables}, preferences))

        yield make


@pytest.fixture
def stack(make_stack: MakeStack) -> Stack:
    """An installation that publishes into a folder, without CMS and Slack."""
    return make_stack()


@pytest.fixture(scope="session")
def swift_server() -> Iterator[S3Server]:
    """S3 as OpenStack Swift speaks it; skipped on a laptop that cannot install it, a failure in CI."""
    try:
        with swift_s3() as server:
            yield server
    except SwiftUnavailable as error:
        missing_service(str(error))


@pytest.fixture
def postgres_server() -> Iterator[PostgresServer]:
    """A private cluster; skipped on a laptop without PostgreSQL, a failure in CI."""
    try:
        with postgres() as server:
            yield server
    except PostgresUnavailable as error:
        missing_service(str(error))


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """An empty PostgreSQL database."""
    return postgres_server.create_database()


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """S3 as moto plays it."""
    with moto_s3() as server:
        yield server
