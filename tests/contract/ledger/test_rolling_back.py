"""A whole rollback without broker or worker: the ledger, the CMS, and what is said of each record."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest

from tasks.core.dispatch import StepName
from tasks.core.errors import Account, ConfigurationError, InputError, Overloaded
from tasks.core.rolling_back import Outcome, RolledBack
from tasks.delivery.base import ReadableCms
from tasks.ledger.delivering import settle_uploaded
from tasks.ledger.engine import Ledger, parse_database_url
from tasks.ledger.rolling_back import keep_old_value
from tasks.rolling_back import roll_back
from tasks.services import Services
from tasks.settings import load_settings
from tests.contract.ledger.scene import Scene, planned
from tests.stand_ins.cms import CmsFault, CmsStandIn

READABLE = """\
[generic]
per_minute = {}
replaced = {{ path = "/api/products/{{sku}}", image_url = "image_url" }}
"""
DOWN = CmsFault(503, {"Retry-After": "0"})

Open = Callable[..., Services]
Published = Callable[..., str]


@pytest.fixture
def cms() -> Iterator[CmsStandIn]:
    """A CMS with twelve products, each with a picture."""
    with CmsStandIn() as stand_in:
        stand_in.products |= {key: f"https://old/{key}.png" for key in keys(12)}
        yield stand_in


@pytest.fixture
def open_services(tmp_path: Path, sqlite_url: str, cms: CmsStandIn) -> Iterator[Open]:
    """Make an installation without a broker whose CMS this is; ``cms_toml`` is its overlay."""
    with ExitStack() as entered:

        def make(cms_toml: str = READABLE.format(60_000), **variables: str) -> Services:
            config = tmp_path / "config"
            config.mkdir(exist_ok=True)
            (config / "cms.toml").write_text(cms_toml)
            environment = {"IMAGECHORD_CONFIG": str(config), "IMAGECHORD_DATABASE_URL": sqlite_url, **cms.environment}
            services = Services(load_settings(environment | variables, tmp_path))
            entered.callback(services.ledger.close)
            return services

        yield make


@pytest.fixture
def published(sqlite_url: str) -> Iterator[Published]:
    """Have a batch of so many rows published as the steps do it; pictures of one ``mark`` have the same URLs."""
    with closing(Ledger(parse_database_url(sqlite_url))) as ledger:
        scene, batches = Scene(ledger), count()

        def publish(services: Services, rows: int, mark: str = "new") -> str:
            batch = next(batches)
            batch_id = scene.submit([planned(n, fingerprint=f"{batch:x}{n:063x}") for n in range(rows)])
            for sent in scene.release(batch_id):
                scene.generate(sent.ticket)
                delivery = scene.delivery(sent.ticket, StepName.UPLOAD)
                settle_uploaded(ledger, delivery, "key", f"https://{mark}/{delivery.key}.png")
                delivery = scene.delivery(sent.ticket, StepName.PATCH)
                if isinstance(services.cms, ReadableCms):
                    keep_old_value(ledger, delivery, services.cms.read(delivery.key))
                services.cms.write(delivery.key, [delivery.public_url or ""])
                scene.publish_uploaded(sent.ticket)
            return batch_id

        yield publish


def keys(rows: int) -> list[str]:
    """The keys of the first rows."""
    return [planned(number).key for number in range(rows)]


def outcomes(rows: Sequence[RolledBack]) -> dict[str, str]:
    """By key."""
    return {row.key: str(row.outcome) for row in rows}


def test_everything_is_as_before(open_services: Open, published: Published, cms: CmsStandIn) -> None:
    """Each record gets its own picture back, or none where it had none, and is written once however often one asks."""
    cms.products[keys(3)[1]] = None
    before = dict(cms.products)
    services = open_services()
    batch_id = published(services, 3)
    assert outcomes(list(roll_back(services, batch_id, dry_run=True))) == dict.fromkeys(keys(3), "put_back")
    assert [cms.writes(key) for key in keys(3)] == [1, 1, 1], "a dry run only reads"

    assert outcomes(list(roll_back(services, batch_id))) == dict.fromkeys(keys(3), "put_back")

    assert cms.products == before
    assert list(roll_back(services, batch_id)) == []
    assert [cms.writes(key) for key in keys(3)] == [2, 2, 2]


def test_what_somebody_has_changed_is_left_alone(open_services: Open, published: Published, cms: CmsStandIn) -> None:
    """It is said what the record shows; a record that was put back by hand counts as done."""
    by_hand, put_back = keys(2)
    services = open_services()
    batch_id = published(services, 2)
    cms.products |= {by_hand: "https://by-hand.png", put_back: f"https://old/{put_back}.png"}

    rows = list(roll_back(services, batch_id))

    assert outcomes(rows) == {by_hand: "changed", put_back: "as_before"}
    assert rows[0].told == "somebody has changed it since: image_url=https://by-hand.png"
    assert cms.products[by_hand] == "https://by-hand.png"
    assert outcomes(list(roll_back(services, batch_id))) == {by_hand: "changed"}


@pytest.mark.parametrize("mark", ["new", "newer"])
def test_an_older_batch_does_not_undo_a_newer_one(
    open_services: Open, published: Published, cms: CmsStandIn, mark: str
) -> None:
    """Be the newer picture the same one or another; rolled back in their order, both are gone."""
    (key,) = keys(1)
    services = open_services()
    older, newer = published(services, 1), published(services, 1, mark)

    (row,) = roll_back(services, older)

    assert (row.outcome, row.told) == (Outcome.LATER, f"{newer} has published it since; roll that back first")
    assert cms.products[key] == f"https://{mark}/{key}.png"
    assert outcomes(list(roll_back(services, newer))) == {key: "as_before" if mark == "new" else "put_back"}
    assert outcomes(list(roll_back(services, older))) == {key: "put_back"}
    assert cms.products[key] == f"https://old/{key}.png"


def test_trouble_that_passes_is_waited_out(open_services: Open, published: Published, cms: CmsStandIn) -> None:
    """After two answers of 503 the third try puts the picture back."""
    services = open_services()
    batch_id = published(services, 2)
    cms.script(keys(1)[0], DOWN, DOWN)
    assert outcomes(list(roll_back(services, batch_id))) == dict.fromkeys(keys(2), "put_back")
    assert all(url and url.startswith("https://old/") for url in cms.products.values())


def test_a_record_that_cannot_be_put_back_is_named(open_services: Open, published: Published, cms: CmsStandIn) -> None:
    """A product that is gone, and one that does not keep what it is told, keep no other from being rolled back."""
    gone, stubborn, fine = keys(3)
    services = open_services()
    batch_id = published(services, 3)
    del cms.products[gone]
    cms.script(stubborn, CmsFault(drop_field=True))

    rows = list(roll_back(services, batch_id))

    assert outcomes(rows) == {gone: "failed", stubborn: "failed", fine: "put_back"}
    assert f"no product with key '{gone}'" in rows[0].told
    assert rows[1].told.startswith(f"told to have image_url=https://old/{stubborn}.png for '{stubborn}' again, the CMS")
    assert outcomes(list(roll_back(services, batch_id, [stubborn]))) == {stubborn: "put_back"}


def test_a_cms_that_is_down_is_not_asked_for_every_record(
    open_services: Open, published: Published, cms: CmsStandIn
) -> None:
    """After five records in a row the rollback ends with the CMS's words; what is left is done the next time."""
    services = open_services("[generic]\nin_flight = 1\n" + READABLE.format(60_000).partition("\n")[2])
    batch_id = published(services, 12)
    for key in keys(12):
        cms.script(key, DOWN, DOWN, DOWN)
    rows = []
    with pytest.raises(Overloaded, match="503"):
        rows.extend(roll_back(services, batch_id))
    before = len(cms.requests)
    cms.faults.clear()
    assert outcomes(list(roll_back(services, batch_id))) == dict.fromkeys(keys(12), "put_back")
    assert before < 2 * 12 + 12 * 6, "not every record was tried three times"


def test_a_refused_token_ends_it_at_once(open_services: Open, published: Published, cms: CmsStandIn) -> None:
    """Nobody need hear that for every record."""
    services = open_services()
    batch_id = published(services, 2)
    cms.token = "another"
    with pytest.raises(Account, match="check CMS_TOKEN"):
        list(roll_back(services, batch_id))


def test_the_pace_of_the_cms_is_kept(open_services: Open, published: Published) -> None:
    """Without a broker too: at 600 a minute five records take at least 0.4 seconds."""
    services = open_services(READABLE.format(600))
    batch_id = published(services, 5)
    begun_at = time.monotonic()
    assert len(list(roll_back(services, batch_id))) == 5
    assert time.monotonic() - begun_at >= 0.4


def test_what_cannot_be_rolled_back_is_said_at_once(open_services: Open, published: Published, cms: CmsStandIn) -> None:
    """A preset that cannot be read, no CMS, a key that is not there; nothing is called."""
    services = open_services("")
    batch_id = published(services, 1)
    with pytest.raises(InputError, match="nothing was kept of what the CMS showed before"):
        roll_back(open_services(), batch_id)
    services = open_services("")
    asked = len(cms.requests)
    with pytest.raises(ConfigurationError, match=r"\[generic\] of cms.toml does not say where a record shows"):
        roll_back(services, batch_id)
    with pytest.raises(ConfigurationError, match="CMS_URL is not set"):
        roll_back(open_services(CMS_URL=""), batch_id)
    with pytest.raises(InputError, match="has the key 'nope'"):
        roll_back(open_services(), batch_id, ["nope"])
    assert len(cms.requests) == asked


def test_a_batch_that_is_under_way_is_not_rolled_back(open_services: Open, scene: Scene) -> None:
    """What its workers are just writing could not be told from what stays."""
    services = open_services(IMAGECHORD_DATABASE_URL=scene.ledger.url.render_as_string(hide_password=False))
    with pytest.raises(InputError, match="is under way"):
        roll_back(services, scene.submit(1))
