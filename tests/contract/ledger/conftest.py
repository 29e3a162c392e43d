"""The ledger on SQLite and on PostgreSQL: migrated once for the session, empty for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tasks.ledger.schema import metadata
from tests.contract.ledger.scene import Scene
from tests.stand_ins.missing import missing_service
from tests.stand_ins.postgres import PostgresServer, PostgresUnavailable, postgres


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A private cluster; skipped on a laptop without PostgreSQL, a failure in CI."""
    try:
        with postgres() as server:
            yield server
    except PostgresUnavailable as error:
        missing_service(str(error))


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite ledger of this version, without rows."""
    file = tmp_path_factory.mktemp("migrated") / "ledger.sqlite3"
    with closing(Ledger(parse_database_url(f"sqlite:///{file}"))) as ledger:
        upgrade(ledger)
    return file


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> str:
    """The URL of a PostgreSQL ledger of this version."""
    url = postgres_server.create_database()
    with closing(Ledger(parse_database_url(url))) as ledger:
        upgrade(ledger)
    return url


@pytest.fixture
def sqlite_url(migrated_file: Path, tmp_path: Path) -> str:
    """A fresh SQLite ledger."""
    return f"sqlite:///{shutil.copy(migrated_file, tmp_path / 'ledger.sqlite3')}"


@pytest.fixture
def postgres_url(migrated_database: str) -> str:
    """The PostgreSQL ledger, emptied."""
    tables = [table.name for table in metadata.sorted_tables if table.name != "imagechord_ledger"]
    with closing(Ledger(parse_database_url(migrated_database))) as ledger, ledger.write() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))
    return migrated_database


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Each database in turn, with an empty ledger."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Each implementation in turn, empty."""
    with closing(Ledger(parse_database_url(url))) as opened:
        yield opened


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    """The ledger with one living worker."""
    return Scene(ledger)
