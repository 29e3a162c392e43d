"""What a CMS had before: recorded once, whatever happens to the write, and given out until it is put back."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select, update

from tasks.core.dispatch import StepName, Ticket
from tasks.core.errors import Invalid
from tasks.core.retry import Decision
from tasks.core.rolling_back import Shown
from tasks.core.selection import Selection
from tasks.core.states import State
from tasks.ledger import delivering, reading, retrying, rolling_back
from tasks.ledger.dispatching import redispatch
from tasks.ledger.rolling_back import WrittenRow, count_unrecorded, keep_old_value, mark_rolled_back, written_rows
from tasks.ledger.schema import image
from tests.contract.ledger.scene import Scene, planned

OLD, OTHER = "https://old/1.png", "https://other/1.png"


def shows(url: str | None) -> Shown:
    """What a record with one field shows."""
    return {"image_url": url}


def uploaded(scene: Scene, fingerprint: str = "a" * 64) -> Ticket:
    """An image of a batch of its own, and always of one key, that is ready to be patched."""
    (ticket,) = scene.tickets([planned(0, fingerprint=fingerprint)])
    scene.generate(ticket)
    scene.upload(ticket)
    return ticket


def keep(scene: Scene, ticket: Ticket, shown: Shown) -> None:
    """What the step does before it writes."""
    keep_old_value(scene.ledger, scene.delivery(ticket, StepName.PATCH), shown)


def published(scene: Scene, fingerprint: str = "a" * 64) -> Ticket:
    """An image of a batch of its own, and always of one key, that has replaced the old one."""
    ticket = uploaded(scene, fingerprint)
    keep(scene, ticket, shows(OLD))
    scene.publish_uploaded(ticket)
    return ticket


def rows(scene: Scene, ticket: Ticket, keys: Sequence[str] | None = None) -> list[WrittenRow]:
    """What is still to be rolled back of an image's batch."""
    return [row for page in written_rows(scene.ledger, scene.image(ticket.image_id).batch_id, keys) for row in page]


def test_what_was_there_is_known_afterwards(scene: Scene) -> None:
    """The row comes with its key, what it replaced and what is ours; once it is marked it comes no more."""
    ticket = published(scene)
    row = scene.image(ticket.image_id)
    assert rows(scene, ticket) == [WrittenRow(row.key, shows(OLD), frozenset({row.public_url}), None)]
    assert rows(scene, ticket, [row.key]) == rows(scene, ticket)
    assert rows(scene, ticket, ["another"]) == []
    (view,) = reading.images(scene.ledger, row.batch_id)
    assert (view.replaced, view.rolled_back_at) == (shows(OLD), None)

    mark_rolled_back(scene.ledger, row.batch_id, row.key)

    assert rows(scene, ticket) == []
    (view,) = reading.images(scene.ledger, row.batch_id)
    assert view.rolled_back_at is not None


def test_a_worker_that_dies_after_its_write_leaves_the_old_value(scene: Scene) -> None:
    """The next one reads what the first has written: that is ours, and not what stood there before."""
    ticket = uploaded(scene)
    keep(scene, ticket, shows(OLD))
    (again,) = redispatch(scene.ledger, [ticket.image_id])

    keep(scene, again.ticket, shows(scene.image(ticket.image_id).public_url))
    scene.publish_uploaded(again.ticket)

    assert [row.was for row in rows(scene, ticket)] == [shows(OLD)]


def test_the_same_url_as_before_is_what_was_there(scene: Scene) -> None:
    """A picture that was published before, and is again: the first thing that is read counts, be it the same."""
    ticket = uploaded(scene)
    url = scene.image(ticket.image_id).public_url
    keep(scene, ticket, shows(url))
    assert [row.was for row in rows(scene, ticket)] == [shows(url)]


def test_a_variant_does_not_take_anothers_url_for_the_old_value(scene: Scene) -> None:
    """It reads what the first variant has written after it had recorded: the row replaced what that one found."""
    first, second = scene.tickets([planned(0), planned(0, variant=2, fingerprint="f" * 64)])
    for ticket in (first, second):
        scene.generate(ticket)
        scene.upload(ticket)
    keep(scene, first, shows(OLD))
    keep(scene, second, shows(scene.image(first.image_id).public_url))
    assert scene.image(second.image_id).replaced is None
    urls = {scene.image(ticket.image_id).public_url for ticket in (first, second)}
    (row,) = rows(scene, first)
    assert (row.was, row.ours) == (shows(OLD), urls)


def test_a_record_that_was_made_after_the_first_try_counts_as_it_was_then(scene: Scene) -> None:
    """A product that was missing, and has a picture when the row is tried again: that picture is what is replaced."""
    ticket = uploaded(scene)
    keep(scene, ticket, shows(None))
    delivery = scene.delivery(ticket, StepName.PATCH)
    missing = Invalid("no product")
    delivering.settle_delivery_failure(scene.ledger, delivery, StepName.PATCH, missing, Decision(end=State.FAILED))
    retrying.retry(scene.ledger, delivery.batch_id, Selection.of("failed"))
    (again,) = scene.release(delivery.batch_id)
    scene.upload(again.ticket)

    keep(scene, again.ticket, shows(OTHER))

    assert [row.was for row in rows(scene, ticket)] == [shows(OTHER)]


def test_a_write_of_another_picture_of_the_row_is_ours_too(scene: Scene) -> None:
    """Done again with another template after a write that seemed to fail, it still replaces what was there first."""
    ticket = uploaded(scene)
    keep(scene, ticket, shows(OLD))
    before = scene.image(ticket.image_id).public_url
    scene.set_image(ticket.image_id, public_url="https://cdn/edited.png")

    keep(scene, ticket, shows(before))

    (row,) = rows(scene, ticket)
    assert (row.was, row.ours) == (shows(OLD), {before, "https://cdn/edited.png"})


def test_an_older_message_records_nothing(scene: Scene) -> None:
    """Whoever was sent before reads late: what the present one has recorded stays."""
    ticket = uploaded(scene)
    stale = scene.delivery(ticket, StepName.PATCH)
    (again,) = redispatch(scene.ledger, [ticket.image_id])
    keep(scene, again.ticket, shows(OLD))
    keep_old_value(scene.ledger, stale, shows(OTHER))
    assert [row.was for row in rows(scene, ticket)] == [shows(OLD)]


def test_a_later_batch_stands_in_the_way(scene: Scene) -> None:
    """Of two batches that have published a key the older one is told of the newer, until that is rolled back."""
    older = published(scene)
    newer = published(scene, "b" * 64)
    later = scene.image(newer.image_id)
    assert [row.later for row in rows(scene, older)] == [later.batch_id]
    assert [row.later for row in rows(scene, newer)] == [None]
    mark_rolled_back(scene.ledger, later.batch_id, later.key)
    assert [row.later for row in rows(scene, older)] == [None]


def test_a_batch_is_rolled_back_again_once_it_has_written_again(scene: Scene) -> None:
    """A picture that failed, was rolled back, and is published by a retry has something to be put back."""
    ticket = uploaded(scene)
    keep(scene, ticket, shows(OLD))
    row = scene.image(ticket.image_id)
    mark_rolled_back(scene.ledger, row.batch_id, row.key)
    keep(scene, ticket, shows(OTHER))
    scene.publish_uploaded(ticket)
    assert [row.was for row in rows(scene, ticket)] == [shows(OTHER)]


def test_what_was_not_read_is_counted(scene: Scene) -> None:
    """Rows that are in a CMS that was not read when they were written; others, and those that never got there, not."""
    first, second, third = scene.tickets([planned(n) for n in range(3)])
    for ticket in (first, second):
        scene.generate(ticket)
        scene.upload(ticket)
    keep(scene, first, shows(OLD))
    for ticket in (first, second):
        scene.publish_uploaded(ticket)
    assert count_unrecorded(scene.ledger, scene.image(third.image_id).batch_id) == 1


def test_many_rows_come_in_pages(scene: Scene) -> None:
    """Each of them once, with all its variants, and in one order."""
    names = [f"SKU-{number:05}" for number in range(rolling_back.PAGE + 3)]
    ticket = published(scene)
    columns = [column.name for column in image.c if column.name not in {"id", "key"}]
    with scene.ledger.write() as connection:
        (one,) = connection.execute(select(*(image.c[name] for name in columns))).mappings()
        connection.execute(insert(image), [{**one, "key": name} for name in names[1:]])
        connection.execute(update(image).where(image.c.key == names[7]).values(replaced=None))
    pages = list(written_rows(scene.ledger, scene.image(ticket.image_id).batch_id))
    assert [row.key for page in pages for row in page] == names[:7] + names[8:]
    assert len(pages) == 2
