"""Writers to one SQLite file wait for each other between processes, and commit together within one."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import IntegrityError

from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.migrate import upgrade
from tasks.ledger.schema import attempt, limit_override
from tasks.ledger.turns import WriteTurn
from tests.waiting import wait_until

HOLDER = """\
import sys
from pathlib import Path
from tasks.ledger.turns import WriteTurn
WriteTurn(Path(sys.argv[1])).take()
print("mine", flush=True)
sys.stdin.readline()
"""


def test_processes_take_turns(tmp_path: Path) -> None:
    """A process waits for another one, and has its turn when that ends or dies."""
    path, taken = tmp_path / "turn", threading.Event()
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder, closing(WriteTurn(path)) as turn:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        thread = threading.Thread(target=lambda: (turn.take(), taken.set(), turn.give_back()))
        thread.start()
        assert not taken.wait(0.2)
        holder.kill()
        assert taken.wait(10)
        thread.join()


def test_who_is_in_a_hurry_goes_first(tmp_path: Path) -> None:
    """Whoever has the turn sees that somebody in a hurry waits; one that is not comes after it, who came before."""
    path, order = tmp_path / "turn", deque[str]()
    with closing(WriteTurn(path)) as holder:
        holder.take()
        assert not holder.is_wanted()
        hurried = waiting_for(WriteTurn(path), order, "hurried", hurry=True)
        wait_until(holder.is_wanted, 10, "somebody in a hurry")
        # This one cannot even queue while the other waits, in whatever order the kernel wakes them.
        patient = waiting_for(WriteTurn(path), order, "patient", hurry=False)
        holder.give_back()
        hurried.join(10)
        patient.join(10)
        assert list(order) == ["hurried", "patient"]
        assert not holder.is_wanted()


def waiting_for(turn: WriteTurn, order: deque[str], name: str, *, hurry: bool) -> threading.Thread:
    """A thread that takes a turn, writes its name down, and gives it back."""

    def take() -> None:
        with closing(turn):
            turn.take(hurry=hurry)
            order.append(name)
            turn.give_back()

    thread = threading.Thread(target=take)
    thread.start()
    return thread


def test_without_a_file_nobody_waits(tmp_path: Path) -> None:
    """Where the file cannot be made, SQLite's own lock has to keep processes apart."""
    with closing(WriteTurn(tmp_path / "missing" / "turn")) as turn:
        turn.take()
        turn.give_back()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger in a file."""
    with closing(Ledger(parse_database_url(f"sqlite:///{tmp_path / 'ledger.sqlite3'}"))) as opened:
        upgrade(opened)
        yield opened


class Crowd:
    """Threads that write at the same time: all wait until the first of them, who is in the middle, goes on."""

    def __init__(self, ledger: Ledger, *, lasting: bool = True) -> None:
        self.ledger = ledger
        self.levels: dict[str, int] = {}
        """SQLite's ``synchronous`` for each writer: 2 waits for the disk."""
        self.commits: list[int] = []
        event.listen(ledger.engine, "commit", lambda _connection: self.commits.append(1))
        self._pool = ThreadPoolExecutor(16)
        self._inside, self._go_on = threading.Event(), threading.Event()
        self.first = self._pool.submit(self._first, lasting)
        self._inside.wait(10)

    def _first(self, lasting: bool) -> None:
        with self.ledger.write(lasting=lasting) as connection:
            self.levels["first"] = connection.scalar(text("PRAGMA synchronous")) or 0
            self._inside.set()
            assert self._go_on.wait(30)
            connection.execute(limit_override.insert(), row("first"))

    def join(self, name: str, *, lasting: bool = True, spoilt: str = "") -> Future[None]:
        """One more thread; returns when it waits."""
        writer = self.ledger._writer
        assert writer is not None
        before = len(writer._waiting)
        joined = self._pool.submit(self._write, name, lasting, spoilt)
        wait_until(lambda: len(writer._waiting) > before, 10, "the writer to wait")
        return joined

    def _write(self, name: str, lasting: bool, spoilt: str) -> None:
        with self.ledger.write(lasting=lasting) as connection:
            self.levels[name] = connection.scalar(text("PRAGMA synchronous")) or 0
            connection.execute(limit_override.insert(), row(name))
            if spoilt == "raises":
                raise ValueError(name)
            if spoilt == "cannot be committed":
                connection.execute(text("PRAGMA defer_foreign_keys = ON"))
                connection.execute(
                    attempt.insert(),
                    {"image_id": 77, "number": 1, "dispatch_no": 1, "fence": 1, "model": "m", "worker_id": "w",
                     "started_at": datetime.now(UTC)},
                )  # fmt: skip
        # Whoever has returned can be read by everybody.
        assert names(self.ledger) >= {name}

    def go_on(self) -> None:
        """Let them write, and wait for all of them."""
        self._go_on.set()
        self._pool.shutdown()


def row(name: str) -> dict[str, object]:
    """Something to write."""
    return {"name": name, "limits": {}, "changed_at": datetime.now(UTC)}


def names(ledger: Ledger) -> set[str]:
    """What another connection sees."""
    with closing(sqlite3.connect(str(ledger.url.database))) as other:
        return {name for (name,) in other.execute("SELECT name FROM imagechord_limit_override")}


def test_writers_that_wait_are_committed_together(ledger: Ledger) -> None:
    """Nine threads, one transaction; each returns only when its rows can be read by others."""
    crowd = Crowd(ledger)
    joined = [crowd.join(f"writer-{number}", lasting=number % 2 == 0) for number in range(8)]
    crowd.go_on()
    for each in [crowd.first, *joined]:
        each.result()
    assert len(names(ledger)) == 9
    assert len(crowd.commits) == 1


def test_a_group_ends_for_another_process_in_a_hurry(ledger: Ledger) -> None:
    """It is not made to wait for all who would join: the one that writes now is the last one before it."""
    crowd = Crowd(ledger)
    joined = [crowd.join(f"writer-{number}") for number in range(8)]
    written: list[int] = []
    hurried = threading.Thread(target=count_in_a_hurry, args=(ledger, written))
    hurried.start()
    writer = ledger._writer
    assert writer is not None
    wait_until(writer._turn.is_wanted, 10, "somebody in a hurry")
    crowd.go_on()
    hurried.join(10)
    for each in [crowd.first, *joined]:
        each.result()
    assert written == [1]


def count_in_a_hurry(ledger: Ledger, written: list[int]) -> None:
    """As another process: how many rows there are when it has its turn."""
    with closing(WriteTurn(Path(f"{ledger.url.database}-turn"))) as turn:
        turn.take(hurry=True)
        written.append(len(names(ledger)))
        turn.give_back()


def test_what_must_last_is_not_committed_with_less(ledger: Ledger) -> None:
    """A writer that waits for the disk does not continue a transaction that does not."""
    crowd = Crowd(ledger, lasting=False)
    joined = [crowd.join("weak", lasting=False), crowd.join("strong"), crowd.join("weak too", lasting=False)]
    crowd.go_on()
    for each in [crowd.first, *joined]:
        each.result()
    assert (crowd.levels["first"], crowd.levels["strong"]) == (1, 2)
    assert len(crowd.commits) == 2


def test_a_members_failure_is_its_own(ledger: Ledger) -> None:
    """Its rows are undone; everybody else's stay, whether they came before it or after."""
    crowd = Crowd(ledger)
    joined = [crowd.join("before"), crowd.join("bad", spoilt="raises"), crowd.join("after")]
    crowd.go_on()
    assert isinstance(joined[1].exception(), ValueError)
    assert [each.exception() for each in (crowd.first, joined[0], joined[2])] == [None] * 3
    assert names(ledger) == {"first", "before", "after"}


def test_the_last_ones_failure_commits_the_others(ledger: Ledger) -> None:
    """Nobody comes after it who could."""
    crowd = Crowd(ledger)
    bad = crowd.join("bad", spoilt="raises")
    crowd.go_on()
    assert isinstance(bad.exception(), ValueError)
    assert crowd.first.exception() is None
    assert names(ledger) == {"first"}


def test_everybody_hears_of_a_commit_that_fails(ledger: Ledger) -> None:
    """Nothing of the group is kept, nobody believes it was, and the next transaction works."""
    crowd = Crowd(ledger)
    joined = [crowd.join("good"), crowd.join("bad", spoilt="cannot be committed")]
    crowd.go_on()
    assert {type(each.exception()) for each in [crowd.first, *joined]} == {IntegrityError}
    assert names(ledger) == set()
    with ledger.write() as connection:
        connection.execute(limit_override.insert(), row("next"))
    with ledger.read() as connection:
        assert connection.scalar(select(func.count()).select_from(limit_override)) == 1
