"""The ledger on SQLite and on PostgreSQL: migrated once for the session, empty for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import text

from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tasks.ledger.schema import metadata
from tests.contract.ledger.scene import Scene
from tests.stand_ins.missing import missing_service
from tests.stand_ins.postgres import PostgresServer, PostgresUnavailable, postgres

FreshUrl = Callable[[], str]


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
def fresh_sqlite(migrated_file: Path, tmp_path: Path) -> FreshUrl:
    """Gives the URL of an empty SQLite ledger, another at each call."""
    numbers = count(1)
    return lambda: f"sqlite:///{shutil.copy(migrated_file, tmp_path / f'ledger-{next(numbers)}.sqlite3')}"


@pytest.fixture
def fresh_postgres(migrated_database: str) -> FreshUrl:
    """Gives the URL of the PostgreSQL ledger, emptied at each call."""
    tables = [table.name for table in metadata.sorted_tables if table.name != "imagechord_ledger"]

    def fresh() -> str:
        with closing(Ledger(parse_database_url(migrated_database))) as ledger, ledger.write() as connection:
            connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))
        return migrated_database

    return fresh


@pytest.fixture
def sqlite_url(fresh_sqlite: FreshUrl) -> str:
    """An empty SQLite ledger."""
    return fresh_sqlite()


@pytest.fixture
def postgres_url(fresh_postgres: FreshUrl) -> str:
    """An empty PostgreSQL ledger."""
    return fresh_postgres()


@pytest.fixture(params=["sqlite", "postgres"])
def fresh_url(request: pytest.FixtureRequest) -> FreshUrl:
    """Each database in turn: gives the URL of an empty ledger at each call."""
    fresh: FreshUrl = request.getfixturevalue(f"fresh_{request.param}")
    return fresh


@pytest.fixture
def url(fresh_url: FreshUrl) -> str:
    """Each database in turn, with an empty ledger."""
    return fresh_url()


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    """Each implementation in turn, empty."""
    with closing(Ledger(parse_database_url(url))) as opened:
        yield opened


@pytest.fixture
def scene(ledger: Ledger) -> Scene:
    """The ledger with one living worker."""
    return Scene(ledger)
