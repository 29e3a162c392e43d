"""Staging with real workers: emptied after publication, refilled from what is public, and never paid twice for it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sqlalchemy import update

from tasks.core.holds import Reason
from tasks.core.states import State
from tasks.ledger import holding
from tasks.ledger.schema import image
from tests.integration.conftest import MakeStack
from tests.integration.stack import NERVOUS, Stack, prompt_of, rows
from tests.stand_ins.anycap_api import AnycapApi, depicts
from tests.stand_ins.s3_server import S3Server
from tests.waiting import wait_until

CUPS = ["cup-1", "cup-2", "cup-3"]
KEEP_NOTHING = NERVOUS + "staging_keep_hours = 0\n"
FAR_AWAY = 946_684_800


def staged(stack: Stack) -> list[Path]:
    """The pictures in staging."""
    return [path for path in (stack.folder / "home" / "staging").rglob("*.*") if path.is_file()]


def published(stack: Stack, batch_id: str) -> None:
    """Every image of the batch is public, and shows what was asked for."""
    assert set(stack.states(batch_id).values()) == {State.PUBLISHED}
    for name, view in stack.images(batch_id).items():
        assert depicts((stack.folder / "output" / str(view.output_key)).read_bytes(), prompt_of(name))


def test_what_is_published_leaves_staging_and_comes_back(make_stack: MakeStack, api: AnycapApi) -> None:
    """Pruned pictures are read back from the public folder for a later batch, and not bought again."""
    stack = make_stack(KEEP_NOTHING)
    remains = stack.folder / "home" / "scratch" / "of-a-killed-worker"
    remains.mkdir(parents=True)
    (remains / "picture.png").write_bytes(b"half")
    os.utime(remains, (FAR_AWAY, FAR_AWAY))
    first = stack.start_worker("one")
    published(stack, stack.run(rows(CUPS)))
    first.stop()
    stack.start_worker("two")
    wait_until(lambda: not staged(stack), 60, "an empty staging")
    assert not remains.exists()
    published(stack, stack.run(rows(CUPS)))
    assert len(api.charges) == len(CUPS)


def test_pictures_that_wait_stay_in_staging(make_stack: MakeStack, api: AnycapApi) -> None:
    """Of two pictures the published one goes; the one whose batch is paused before delivery stays."""
    stack = make_stack(KEEP_NOTHING)
    first = stack.start_worker("one")
    stack.run(rows(["gone"]))
    waiting = stack.run(rows(["kept"]))
    first.stop()
    with stack.services.ledger.write() as connection:
        mine = update(image).where(image.c.batch_id == waiting)
        connection.execute(mine.values(state=State.HELD, error_class=Reason.PUBLISH, published_at=None))
    stack.start_worker("two")
    wait_until(lambda: len(staged(stack)) == 1, 60, "one picture less in staging")
    kept = stack.images(waiting)["kept"].fingerprint
    assert kept in staged(stack)[0].name


def test_staging_that_somebody_has_deleted(make_stack: MakeStack, api: AnycapApi) -> None:
    """With the public copy the next batch is published from it; without any, a person decides on a second payment."""
    stack = make_stack(NERVOUS)
    stack.start_worker("one")
    published(stack, stack.run(rows(CUPS)))
    shutil.rmtree(stack.folder / "home" / "staging")
    published(stack, stack.run(rows(CUPS)))
    assert len(api.charges) == len(CUPS)

    shutil.rmtree(stack.folder / "home" / "staging")
    shutil.rmtree(stack.folder / "output")
    lost = stack.run(rows(CUPS))
    assert {(view.state, view.error_class) for view in stack.images(lost).values()} == {(State.HELD, "lost")}
    assert all("STAGING_URL" in str(view.error_message) for view in stack.images(lost).values())
    assert len(api.charges) == len(CUPS)

    assert holding.resume(stack.services.ledger, lost) == len(CUPS)
    stack.wait(lost)
    published(stack, lost)
    assert len(api.charges) == 2 * len(CUPS)


def test_staging_in_a_bucket(make_stack: MakeStack, api: AnycapApi, moto_server: S3Server) -> None:
    """The same on S3: staged objects go after publication, and come back from the public bucket."""
    moto_server.create_public_bucket("pruned")
    variables = {"S3_BUCKET": "pruned", "PUBLIC_BASE_URL": moto_server.public_url("pruned")}
    stack = make_stack(
        KEEP_NOTHING, **variables, **moto_server.environment, STAGING_URL="s3://pruned/staging", S3_PREFIX="shop"
    )

    def keys(prefix: str) -> list[str]:
        found = moto_server.client.list_objects_v2(Bucket="pruned", Prefix=prefix)
        return [each["Key"] for each in found.get("Contents", [])]

    first = stack.start_worker("one")
    stack.run(rows(CUPS))
    first.stop()
    stack.start_worker("two")
    wait_until(lambda: not [key for key in keys("staging/") if "." in key], 60, "an empty staging")
    assert len(keys("shop/")) == len(CUPS)
    again = stack.run(rows(CUPS))
    assert set(stack.states(again).values()) == {State.PUBLISHED}
    assert len(api.charges) == len(CUPS)
