"""From an empty database to this version's schema, by whoever comes first."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tasks.core.errors import ConfigurationError
from tasks.ledger import migrate
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import HEAD, current_revision, require_current, upgrade
from tasks.ledger.schema import metadata
from tests.contract.ledger.racers import open_first
from tests.contract.ledger.scene import race
from tests.stand_ins.postgres import PostgresServer


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new' / 'ledger.sqlite3'}"
    return str(request.getfixturevalue("postgres_server").create_database())


@pytest.fixture
def empty(empty_url: str) -> Iterator[Ledger]:
    """A ledger without tables."""
    with closing(Ledger(parse_database_url(empty_url))) as opened:
        yield opened


def test_the_newest_script_is_the_head() -> None:
    """The constant that start-up goes by is the newest migration's."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_the_migrations_make_the_schema(empty: Ledger) -> None:
    """Alembic finds no difference between a migrated database and the tables that the code uses."""
    upgrade(empty)
    assert current_revision(empty) == HEAD
    with empty.read() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "imagechord_alembic_version"})
        assert compare_metadata(context, metadata) == []


def test_migrating_twice_changes_nothing(empty: Ledger) -> None:
    """The ledger keeps its identity and its revision."""
    upgrade(empty)
    identity = empty.identity()
    upgrade(empty)
    assert (empty.identity(), current_revision(empty)) == (identity, HEAD)


def test_many_may_migrate_at_once(empty: Ledger) -> None:
    """Four threads that migrate an empty database make one ledger."""
    assert race(4, lambda _n: upgrade(empty)) == [None] * 4
    assert current_revision(empty) == HEAD
    assert len(empty.identity()) == 36


def test_two_processes_may_be_first_on_one_file(tmp_path: Path) -> None:
    """Both start on a SQLite file that is not there yet, and see the same ledger."""
    url = f"sqlite:///{tmp_path / 'new' / 'ledger.sqlite3'}"
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        identities = list(pool.map(open_first, [url] * 4))
    assert len(set(identities)) == 1


def test_postgresql_is_never_migrated_by_surprise(postgres_server: PostgresServer) -> None:
    """Without the tables of this version one is told what to run."""
    with closing(Ledger(parse_database_url(postgres_server.create_database()))) as ledger:
        with pytest.raises(ConfigurationError, match="run: imagechord migrate"):
            require_current(ledger)
        assert current_revision(ledger) is None
        upgrade(ledger)
        require_current(ledger)


def test_a_new_file_that_somebody_is_writing(tmp_path: Path) -> None:
    """Two commands that begin a ledger at the same moment: the second one waits, where SQLite itself would not."""
    file = tmp_path / "ledger.sqlite3"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as first:
        first.execute("BEGIN IMMEDIATE")
        done = threading.Timer(0.5, first.execute, ["COMMIT"])
        done.start()
        with closing(Ledger(parse_database_url(f"sqlite:///{file}"))) as second:
            require_current(second)
            assert current_revision(second) == HEAD
        done.join()
