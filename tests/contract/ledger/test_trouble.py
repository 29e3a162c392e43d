"""Trouble that passes is told apart from our own mistakes, and a paid result outlasts it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tasks.core.errors import ConfigurationError, LedgerUnavailable
from tasks.core.states import State
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import current_revision
from tasks.ledger.reading import state_counts
from tests.contract.ledger.scene import Scene, bought
from tests.stand_ins.postgres import PostgresServer


def test_a_mistake_of_ours_is_not_trouble_that_passes(ledger: Ledger) -> None:
    """A wrong statement stays an error of the database library: repeating it would never help."""
    with pytest.raises(DBAPIError), ledger.read() as connection:
        connection.execute(text("SELECT no_such_column FROM imagechord_batch"))


def test_a_read_sees_one_moment(scene: Scene) -> None:
    """What others commit between two queries of one read is not seen by the second."""
    batch_id = scene.submit(1)
    count = text("SELECT count(*) FROM imagechord_image")
    with scene.ledger.read() as connection:
        before = connection.scalar(count)
        scene.submit(5)
        assert connection.scalar(count) == before == 1
    assert state_counts(scene.ledger, batch_id) == {State.PLANNED: 1}


def test_a_failed_write_leaves_nothing(scene: Scene) -> None:
    """A transaction is done whole or not at all, also when the error is not the database's."""
    batch_id = scene.submit(1)

    def write_and_fail() -> None:
        with scene.ledger.write() as connection:
            connection.execute(text("UPDATE imagechord_batch SET name = 'changed'"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert scene.batch(batch_id).name == "products.csv"


def test_a_deadlock_is_trouble_that_passes(postgres_url: str) -> None:
    """PostgreSQL ends one of two transactions that wait for each other; that one may simply be done again."""
    with closing(Ledger(parse_database_url(postgres_url))) as ledger:
        Scene(ledger).submit(2)
        barrier, outcomes = threading.Barrier(2), []

        def lock_both(first: int, second: int) -> None:
            statement = text("UPDATE imagechord_image SET line = line WHERE id = :id")
            try:
                with ledger.write() as connection:
                    connection.execute(statement, {"id": first})
                    barrier.wait(10)
                    connection.execute(statement, {"id": second})
            except LedgerUnavailable as error:
                outcomes.append(str(error))

        threads = [threading.Thread(target=lock_both, args=ids) for ids in ((1, 2), (2, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(outcomes) == 1
        assert "deadlock" in outcomes[0]


def test_a_connection_that_was_cut_is_trouble_that_passes(postgres_url: str, postgres_server: PostgresServer) -> None:
    """A server that restarts ends the transaction; the next one works."""
    with closing(Ledger(parse_database_url(postgres_url))) as ledger:
        scene = Scene(ledger)

        def write_and_be_cut() -> None:
            with ledger.write() as connection:
                own = connection.scalar(text("SELECT pg_backend_pid()"))
                with postgres_server.connect() as admin:
                    admin.execute("SELECT pg_terminate_backend(%s)", (own,))
                connection.execute(text("SELECT 1"))

        with pytest.raises(LedgerUnavailable):
            write_and_be_cut()
        assert scene.counts(scene.submit(1)) == {State.PLANNED: 1}


def test_a_server_that_is_away_is_trouble_that_passes(tmp_path: Path) -> None:
    """Nobody listens there: work is repeated later, and whoever starts is told where it looked."""
    with closing(Ledger(parse_database_url(f"postgresql://somebody:secret@/ledger?host={tmp_path}"))) as ledger:
        with pytest.raises(LedgerUnavailable), ledger.read():
            pass
        with pytest.raises(ConfigurationError, match="does not answer") as raised:
            current_revision(ledger)
        assert "secret" not in str(raised.value)


def test_a_locked_file_is_trouble_that_passes(sqlite_url: str) -> None:
    """A writer in another process that does not end makes a claim fail in a way that may be repeated."""
    with closing(Ledger(parse_database_url(sqlite_url))) as ledger:
        with ledger.read() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 20")
        with closing(sqlite3.connect(str(ledger.url.database), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerUnavailable, match="locked"), ledger.write():
                pass
            other.execute("ROLLBACK")
        with ledger.write():
            pass


def test_a_paid_picture_outlasts_the_trouble(sqlite_url: str) -> None:
    """A settlement is repeated until the ledger can take it."""
    with closing(Ledger(parse_database_url(sqlite_url))) as ledger:
        scene = Scene(ledger)
        (ticket,) = scene.tickets()
        claimed = scene.claim(ticket)
        with ledger.engine.connect() as one, one.begin():
            one.exec_driver_sql("PRAGMA busy_timeout = 1")
        with closing(sqlite3.connect(str(ledger.url.database), isolation_level=None, check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            release = threading.Timer(0.5, other.execute, ["ROLLBACK"])
            release.start()
            scene.settle(claimed)
            release.join()
        assert scene.image(ticket.image_id).state == State.GENERATED
        assert scene.picture(claimed.fingerprint).staging_key == bought(claimed).staged.key


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:", "mysql://h/db", "nonsense"])
def test_what_cannot_be_a_ledger_is_refused(address: str) -> None:
    """Other databases, and one in memory that no worker could see, are refused by name."""
    with pytest.raises(ConfigurationError, match="IMAGECHORD_DATABASE_URL"):
        parse_database_url(address)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql(scheme: str) -> None:
    """Hosting services write it in their own ways."""
    url = parse_database_url(f"{scheme}://user:word@host:5433/shop")
    assert (url.drivername, url.host, url.port, url.database) == ("postgresql+psycopg", "host", 5433, "shop")
