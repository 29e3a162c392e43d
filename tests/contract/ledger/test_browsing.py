"""A page at a time of what is in the ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from tasks.core.errors import Overloaded
from tasks.core.holds import Reason
from tasks.core.retry import Decision
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger import browsing, holding, retrying, schema
from tasks.ledger.browsing import Card, Wanted
from tests.contract.ledger.scene import AGES_AGO, PRICE, Scene, planned


def numbers(cards: list[Card]) -> list[int]:
    """The rows that the pictures were made of."""
    return [int(card.key.removeprefix("SKU-")) for card in cards]


def test_batches_are_paged_from_the_newest_on(scene: Scene) -> None:
    """Also among those of one moment none is left out or shown twice."""
    ids = [scene.submit(1) for _ in range(5)]
    for batch_id, age in zip(ids, (5, 3, 3, 3, 1), strict=True):
        scene.set_batch(batch_id, created_at=AGES_AGO - timedelta(hours=age))
    seen: list[str] = []
    before = None
    while page := browsing.heads(scene.ledger, 2, before):
        seen += [head.id for head in page]
        before = (page[-1].created_at, page[-1].id)
    assert seen == [ids[4], ids[3], ids[2], ids[1], ids[0]]


def test_a_batch_has_its_money(scene: Scene) -> None:
    """What it may cost, what is reserved, what is spent."""
    batch_id = scene.submit(3, budget_usd_micros=10 * PRICE)
    first, second, _third = scene.release(batch_id)
    scene.publish(first.ticket)
    scene.claim(second.ticket)
    head = browsing.head(scene.ledger, batch_id)
    assert (head.budget_usd_micros, head.reserved_usd_micros, head.spent_usd_micros) == (10 * PRICE, PRICE, PRICE)
    with pytest.raises(KeyError):
        browsing.head(scene.ledger, "nothing")


def test_several_batches_are_counted_at_once(scene: Scene) -> None:
    """Each by state; one without images is left out, and only holds of whole batches are told."""
    first, second, empty = scene.submit(2), scene.submit(3), scene.submit([])
    scene.release(first)
    holding.pause(scene.ledger, second)
    with scene.ledger.write() as connection:
        holding.put_on_hold(connection, first, "nano-banana-2", Reason.ACCOUNT, "HTTP 402")
    assert browsing.counts(scene.ledger, [first, second, empty]) == {first: {State.QUEUED: 2}, second: {State.HELD: 3}}
    assert browsing.held_wholly(scene.ledger, [first, second, empty]) == {second: Reason.PAUSED}


@pytest.fixture
def mixed(scene: Scene) -> str:
    """A batch of nine: four published, one failed, a held and a cancelled one, two planned. Later rows ended later."""
    states = [State.PUBLISHED, State.FAILED, State.HELD, State.CANCELLED, State.PUBLISHED, State.PUBLISHED]
    batch_id = scene.submit([planned(number) for number in range(9)])
    cards = browsing.matching(scene.ledger, batch_id, 10, Wanted())
    for card, state, minutes in zip(cards, [*states, State.PUBLISHED], count(), strict=False):
        scene.set_image(card.id, state=state, moved_at=AGES_AGO + timedelta(minutes=minutes))
    return batch_id


def test_pictures_arrive_with_the_latest_first(scene: Scene, mixed: str) -> None:
    """What has come to an end by itself, page by page; what is held or cancelled does not push it away."""
    first = browsing.arrivals(scene.ledger, mixed, 3)
    rest = browsing.arrivals(scene.ledger, mixed, 3, (first[-1].moved_at, first[-1].id))
    assert (numbers(first), numbers(rest)) == ([6, 5, 4], [1, 0])


def test_pictures_of_one_moment_are_paged_too(scene: Scene) -> None:
    """A place is a moment and an image."""
    batch_id = scene.submit(5)
    now = datetime.now(UTC)
    for card in browsing.matching(scene.ledger, batch_id, 10, Wanted()):
        scene.set_image(card.id, state=State.FAILED, moved_at=now)
    first = browsing.arrivals(scene.ledger, batch_id, 3)
    rest = browsing.arrivals(scene.ledger, batch_id, 3, (first[-1].moved_at, first[-1].id))
    assert numbers(first) + numbers(rest) == [4, 3, 2, 1, 0]


def test_pictures_are_found_by_state_and_key(scene: Scene, mixed: str) -> None:
    """In the order of their rows, after any of them, and of this batch alone."""
    scene.submit(9)
    published = browsing.matching(scene.ledger, mixed, 3, Wanted(State.PUBLISHED))
    assert numbers(published) == [0, 4, 5]
    assert numbers(browsing.matching(scene.ledger, mixed, 3, Wanted(State.PUBLISHED), published[-1].id)) == [6]
    assert numbers(browsing.matching(scene.ledger, mixed, 3, Wanted(text="sku-00003"))) == [3]
    assert numbers(browsing.matching(scene.ledger, mixed, 9, Wanted(State.PUBLISHED, "5"))) == [5]


def test_what_is_searched_for_is_no_pattern(scene: Scene) -> None:
    """A key's own percent sign and underscore stand for themselves."""
    batch_id = scene.submit(3)
    assert browsing.matching(scene.ledger, batch_id, 9, Wanted(text="SKU%0")) == []
    assert browsing.matching(scene.ledger, batch_id, 9, Wanted(text="SKU_00000")) == []


def test_a_card_knows_whether_there_is_a_thumbnail(scene: Scene) -> None:
    """It is not read for that, and asked for by its fingerprint."""
    batch_id = scene.submit(2)
    scene.generate(scene.release(batch_id, window=1)[0].ticket)
    made, other = browsing.matching(scene.ledger, batch_id, 9, Wanted())
    assert (made.has_thumbnail, other.has_thumbnail) == (True, False)
    assert browsing.find_thumbnail(scene.ledger, made.fingerprint) == b"jpeg "
    assert browsing.find_thumbnail(scene.ledger, other.fingerprint) is None


def test_one_picture_of_a_batch_with_its_history(scene: Scene) -> None:
    """Its own calls and what it was before; another variant's are not among them."""
    batch_id = scene.submit([planned(1), planned(1, variant=2, fingerprint="v" * 64)])
    first, second = (dispatch.ticket for dispatch in scene.release(batch_id))
    scene.fail(scene.claim(first), Overloaded("HTTP 503"), Decision(end=State.FAILED))
    scene.generate(second)
    retrying.retry(scene.ledger, batch_id, Selection())
    image = browsing.find_image(scene.ledger, batch_id, first.image_id)
    assert image is not None
    assert (image.key, image.state, image.thumbnail) == (planned(1).key, State.PLANNED, None)
    assert [call.outcome for call in browsing.calls(scene.ledger, first.image_id)] == ["overloaded"]
    assert [was.error_message for was in browsing.revisions(scene.ledger, first.image_id)] == ["HTTP 503"]
    assert browsing.revisions(scene.ledger, second.image_id) == []
    assert browsing.find_image(scene.ledger, "another", first.image_id) is None


def test_the_first_rows_that_were_left_out(scene: Scene) -> None:
    """By line, and no more than are asked for."""
    batch_id = scene.submit(1)
    with scene.ledger.write() as connection:
        for line in (9, 3, 7):
            values = {"batch_id": batch_id, "line": line, "problems": ["name: empty"], "row": {}}
            connection.execute(schema.skipped_row.insert().values(**values))
    assert [row.line for row in browsing.first_skipped(scene.ledger, batch_id, 2)] == [3, 7]
