"""No question that is asked all the time reads the whole table of images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from tasks.core.dispatch import Ticket
from tasks.core.holds import Hold, Reason
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.core.waves import Bounds
from tasks.ledger import (
    browsing,
    counting,
    events,
    falling_back,
    following,
    keeping,
    leases,
    limiting,
    measuring,
    reading,
    referring,
    releasing,
    retrying,
    rolling_back,
    showing,
    submitting,
    summing,
    sweeping,
)
from tasks.ledger.browsing import Wanted
from tasks.ledger.dispatching import redispatch
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.events import Sending
from tasks.ledger.keeping import StagedCopy
from tests.contract.ledger.large import fill
from tests.contract.ledger.scene import MODEL, Scene

NOW = datetime.now(UTC)


def _move_on(ledger: Ledger, batch_id: str) -> object:
    """The first look at what is to move."""
    hold = Hold(batch_id, MODEL, Reason.ACCOUNT, "402", NOW, None)
    return falling_back.move_on(ledger, hold, lambda _each: None)


QUESTIONS: dict[str, Callable[[Ledger, str], object]] = {
    "state_counts": reading.state_counts,
    "batch_models": reading.batch_models,
    "tally_and_pace": counting.tally_and_pace,
    "summarise": summing.summarise,
    "is_resting": summing.is_resting,
    "is_low": lambda ledger, _batch_id: releasing.is_low(ledger, MODEL, Bounds(500, 1000)),
    "release": lambda ledger, _batch_id: releasing.release(ledger, MODEL, Bounds(3, 1000)),
    "redispatch": lambda ledger, _batch_id: redispatch(ledger, [1, 2], NOW),
    "unclaimed_before": lambda ledger, _batch_id: sweeping.unclaimed_before(ledger, NOW),
    "releasable": lambda ledger, _batch_id: sweeping.releasable(ledger),
    "resting_unsaid": lambda ledger, _batch_id: sweeping.resting_unsaid(ledger),
    "orphaned_claims": lambda ledger, _batch_id: leases.orphaned_claims(ledger, NOW),
    "find_unfinished": lambda ledger, _batch_id: submitting.find_unfinished(ledger, "d" * 64),
    "images": lambda ledger, batch_id: list(reading.images(ledger, batch_id, thumbnails=True)),
    "attempts": lambda ledger, batch_id: reading.attempts(ledger, batch_id, "SKU-00001"),
    "calls_under_way": lambda ledger, _batch_id: limiting.calls_under_way(ledger),
    "postpone": lambda ledger, _batch_id: limiting.postpone(ledger, Ticket(1, 1), NOW),
    "end_waits": lambda ledger, _batch_id: limiting.end_waits(ledger, MODEL),
    "revisions": lambda ledger, batch_id: reading.revisions(ledger, batch_id, "SKU-00001"),
    "require_keys": lambda ledger, batch_id: reading.require_keys(ledger, batch_id, ["SKU-00001"]),
    "undelivered": sweeping.undelivered,
    "chosen": lambda ledger, batch_id: list(retrying.chosen(ledger, batch_id, Selection())),
    "retry": lambda ledger, batch_id: retrying.retry(ledger, batch_id, Selection()),
    "written_rows": lambda ledger, batch_id: list(rolling_back.written_rows(ledger, batch_id)),
    "written_rows of keys": lambda ledger, batch_id: list(rolling_back.written_rows(ledger, batch_id, ["SKU-00001"])),
    "count_unrecorded": rolling_back.count_unrecorded,
    "mark_rolled_back": lambda ledger, batch_id: rolling_back.mark_rolled_back(ledger, batch_id, "SKU-00001"),
    "falling_back_waiting": lambda ledger, _batch_id: falling_back.waiting(ledger),
    "move_on": _move_on,
    "unneeded": lambda ledger, _batch_id: keeping.unneeded(ledger, NOW, (NOW, "f"), 100),
    "published_as": lambda ledger, _batch_id: keeping.published_as(ledger, "f" * 64),
    "mark_removed": lambda ledger, _batch_id: keeping.mark_removed(ledger, StagedCopy(NOW, "f" * 64, "f.png")),
    "events_to_tell": lambda ledger, batch_id: events.page(ledger, Sending(batch_id, "worker", "url", 0), 0, 100),
    "redirect": lambda ledger, batch_id: events.redirect(ledger, batch_id, "https://shop.example.com"),
    "newest_published": lambda ledger, _batch_id: referring.newest_published(ledger, ["SKU-00001", "SKU-00002"]),
    "unneeded_references": lambda ledger, _batch_id: referring.unneeded(ledger, NOW, (NOW, "f"), 100),
    "counts": lambda ledger, batch_id: browsing.counts(ledger, [batch_id, "b-1"]),
    "arrivals": lambda ledger, batch_id: browsing.arrivals(ledger, batch_id, 9, (NOW, 1)),
    "matching": lambda ledger, batch_id: browsing.matching(ledger, batch_id, 9, Wanted(State.FAILED, "SKU"), 1),
    "matching_text": lambda ledger, batch_id: browsing.matching(ledger, batch_id, 9, Wanted(text="SKU")),
    "find_image": lambda ledger, batch_id: browsing.find_image(ledger, batch_id, 1),
    "image_revisions": lambda ledger, _batch_id: browsing.revisions(ledger, 1),
    "samples": showing.samples,
    "expected_usd_micros": showing.expected_usd_micros,
    "claim_message": lambda ledger, batch_id: summing.claim_message(ledger, batch_id, "end", "worker"),
}


@pytest.fixture
def scene(sqlite_url: str) -> Iterator[Scene]:
    """A few batches on SQLite, whose plans can be asked for and do not depend on statistics."""
    with closing(Ledger(parse_database_url(sqlite_url))) as ledger:
        made = Scene(ledger)
        for _ in range(3):
            batch_id = made.submit(5)
        made.set_image(made.release(batch_id)[0].ticket.image_id, state=State.FAILED, error_class="overloaded")
        yield made


def _statements(ledger: Ledger, ask: Callable[[], object], about: str = "imagechord_image") -> list[tuple[str, Any]]:
    """Each statement about a table that is made for a question, with its parameters."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if about in statement:
            asked.append((statement, parameters))

    event.listen(ledger.engine, "before_cursor_execute", note)
    ask()
    event.remove(ledger.engine, "before_cursor_execute", note)
    assert asked
    return asked


def _plans(ledger: Ledger, ask: Callable[[], object], about: str = "imagechord_image") -> list[str]:
    """The plan of each statement about a table, a line for each table that it visits."""
    asked = _statements(ledger, ask, about)
    with ledger.read() as connection:
        return [
            str(line[-1])
            for statement, parameters in asked
            for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]


@pytest.mark.parametrize("question", QUESTIONS)
def test_images_are_found_by_an_index(scene: Scene, question: str) -> None:
    """Every statement about images searches; none scans."""
    ask = QUESTIONS[question]
    plans = _plans(scene.ledger, lambda: ask(scene.ledger, "b-2"))
    assert [line for line in plans if line.startswith("SCAN imagechord_image")] == []


def test_a_scan_would_be_seen(scene: Scene) -> None:
    """The check itself notices a query that no index serves."""

    def ask() -> None:
        with scene.ledger.read() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM imagechord_image WHERE prompt = ?", ("x",))

    assert "SCAN imagechord_image" in _plans(scene.ledger, ask)


FEW: dict[str, Callable[[Ledger], object]] = {
    "is_low": lambda ledger: releasing.is_low(ledger, MODEL, Bounds(5, 1000)),
    "release": lambda ledger: releasing.release(ledger, MODEL, Bounds(5, 1000)),
    "releasable": sweeping.releasable,
}


@pytest.mark.parametrize("question", FEW)
def test_postgres_reads_few_rows_whatever_it_believes(postgres_url: str, question: str) -> None:
    """Its statistics never know how many images are planned at the moment: no plan of it may read them all."""
    with closing(Ledger(parse_database_url(postgres_url))) as ledger:
        made = Scene(ledger)
        for _ in range(3):
            made.submit(700)
        asked: list[tuple[str, Any]] = []
        event.listen(ledger.engine, "before_cursor_execute", lambda *seen: asked.append((seen[2], seen[3])))
        FEW[question](ledger)
        statements = [(statement, given) for statement, given in asked if "FROM imagechord_image" in statement]
        assert statements
        with ledger.engine.connect() as connection:
            for statement, given in statements:
                explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
                assert max(_rows(explained.scalar_one()[0]["Plan"])) <= 20, statement


def _rows(node: dict[str, Any]) -> Iterator[float]:
    """How many rows each node of a plan has read."""
    yield (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
    for child in node.get("Plans", []):
        yield from _rows(child)


COUNTS: dict[str, tuple[Callable[[Connection, str], object], set[str]]] = {
    "tally": (counting.tally, {"batch_id_state_model_reused"}),
    "recent_ends": (counting.recent_ends, {"at_rest"}),
    "last_move": (counting.last_move, {"at_rest", "batch_id_state_model_reused"}),
    "failure_groups": (counting.failure_groups, {"missed"}),
}


@pytest.mark.parametrize("question", COUNTS)
def test_counts_read_the_index_made_for_them(scene: Scene, question: str) -> None:
    """On SQLite, by the name of the index."""
    ask, indexes = COUNTS[question]

    def asked() -> None:
        with scene.ledger.read() as connection:
            ask(connection, "b-3")

    plans = " ".join(_plans(scene.ledger, asked))
    assert set(re.findall(r"INDEX ix_imagechord_image_(\w+)", plans)) == indexes


@pytest.fixture
def large(postgres_url: str) -> Iterator[Ledger]:
    """Ten batches of a thousand images on PostgreSQL, vacuumed as a server does it by itself."""
    with closing(Ledger(parse_database_url(postgres_url))) as ledger:
        fill(ledger, images=10_000, batches=10)
        yield ledger


@pytest.mark.parametrize("question", COUNTS)
def test_counts_read_few_pages_of_a_large_table(large: Ledger, question: str) -> None:
    """On PostgreSQL, by its own measure: a batch is a tenth of the table, and far less than that is touched."""
    ask, _indexes = COUNTS[question]
    with large.read() as connection:
        pages = connection.scalar(text("SELECT relpages FROM pg_class WHERE relname = 'imagechord_image'"))
    assert 0 < _pages_touched(large, ask) < pages / 25


def test_a_page_of_pictures_is_not_searched_for_in_other_batches(large: Ledger) -> None:
    """On PostgreSQL, which would rather walk through all images in order, and meet those of the last batch last."""
    with large.read() as connection:
        pages = connection.scalar(text("SELECT relpages FROM pg_class WHERE relname = 'imagechord_image'"))
    shown = 20
    assert 0 < _touched_by(large, lambda: browsing.arrivals(large, "b-9", shown)) < pages / 3
    planned = Wanted(State.PLANNED)
    assert 0 < _touched_by(large, lambda: browsing.matching(large, "b-9", shown, planned)) < pages / 3


def _figures(ledger: Ledger) -> object:
    return measuring.measure(ledger, timedelta(seconds=15))


@pytest.mark.parametrize("table", ["imagechord_image", "imagechord_attempt"])
def test_figures_are_counted_in_an_index_alone(scene: Scene, table: str) -> None:
    """On SQLite: all rows are counted, and none of them is read."""
    (plan,) = [line for line in _plans(scene.ledger, lambda: _figures(scene.ledger), table) if table in line]
    assert "USING COVERING INDEX" in plan


def test_figures_of_a_large_table_touch_few_pages_of_it(large: Ledger) -> None:
    """On PostgreSQL likewise, which takes an index that is small for what it covers."""
    with large.read() as connection:
        pages = connection.scalar(text("SELECT relpages FROM pg_class WHERE relname = 'imagechord_image'"))
    assert 0 < _touched_by(large, lambda: _figures(large)) < pages / 10


def _pages_touched(ledger: Ledger, ask: Callable[[Connection, str], object]) -> int:
    """Of the table and its indexes, by all statements of a question together."""

    def asked() -> None:
        with ledger.read() as connection:
            ask(connection, "b-5")

    return _touched_by(ledger, asked)


def _touched_by(ledger: Ledger, asked: Callable[[], object]) -> int:
    touched = 0
    statements = _statements(ledger, asked)
    with ledger.read() as connection:
        for statement, parameters in statements:
            explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
            plan = explained.scalar_one()[0]["Plan"]
            touched += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return touched


def test_staged_pictures_are_found_by_an_index(scene: Scene) -> None:
    """A window of staged pictures is read in order from the index of just these: what has gone costs nothing."""
    plans = _plans(scene.ledger, lambda: keeping.unneeded(scene.ledger, NOW, (NOW, "f"), 100))
    (staged,) = [line for line in plans if "imagechord_picture" in line]
    assert staged.startswith("SEARCH imagechord_picture USING INDEX ix_imagechord_picture_staged")


EVENTS: dict[str, Callable[[Ledger], object]] = {
    "due": events.due,
    "page": lambda ledger: events.page(ledger, Sending("b-2", "worker", "url", 0), 0, 100),
    "standing": lambda ledger: events.standing(ledger, "b-2"),
}


@pytest.mark.parametrize("question", EVENTS)
def test_untold_events_are_found_by_an_index(scene: Scene, question: str) -> None:
    """By the one of just these: what has been told costs nothing."""
    with scene.ledger.write() as connection:
        events.add_webhook(connection, "b-2", "https://shop.example.com")
    plans = _plans(scene.ledger, lambda: EVENTS[question](scene.ledger), "imagechord_event")
    assert [line for line in plans if "imagechord_event" in line and "ix_imagechord_event_untold" not in line] == []
    assert "ix_imagechord_event_untold" in " ".join(plans)


@pytest.mark.parametrize("table", ["summary", "notice"])
def test_what_slack_is_still_to_be_told_is_found_by_an_index(scene: Scene, table: str) -> None:
    """Every few seconds it is asked for: what has been said for good costs nothing."""
    plans = _plans(scene.ledger, lambda: following.with_news(scene.ledger), f"imagechord_{table}.update_due_at")
    assert plans[0].startswith(f"SEARCH imagechord_{table} USING INDEX ix_imagechord_{table}_update_due_at")
