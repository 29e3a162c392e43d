"""Submitting into a real SQLite ledger, without a worker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tasks.core.errors import InputError
from tasks.core.request import Request
from tasks.core.states import State
from tasks.ledger import reading
from tasks.services import Services
from tasks.settings import load_settings
from tasks.submission import digest_of, plan, submit

ROWS = [{"sku": f"A-{n}", "name": f"컵 {n}", "color": "파랑"} for n in range(3)]
BAD = [*ROWS, {"sku": "A-1", "name": "again", "color": "red"}, {"sku": "A-9", "name": "", "color": "red"}]


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """Nothing configured: SQLite and folders under the test's own folder."""
    return Services(load_settings({}, tmp_path))


def test_planning_leaves_no_trace(services: Services, tmp_path: Path) -> None:
    """``plan`` validates and prices, and creates neither a ledger nor a folder."""
    planned = plan(services, Request(ROWS, "product", model="nano-banana-2"))
    assert (planned.summary.images, planned.problems) == (3, [])
    assert planned.summary.cost.low == 3 * 5_000
    assert list(tmp_path.iterdir()) == []


def test_one_bad_row_starts_nothing(services: Services) -> None:
    """Every problem is told at once, and the ledger has no batch afterwards."""
    with pytest.raises(InputError, match="2 of 5 rows cannot be used, nothing was started") as caught:
        submit(services, Request(BAD, "product", model="preview"))
    assert len(caught.value.problems) == 2
    assert reading.list_batches(services.ledger) == []


def test_skipped_rows_are_kept_on_record(services: Services) -> None:
    """With ``skip_bad_rows`` the good rows start, and the bad ones stay visible with their problems."""
    submitted = submit(services, Request(BAD, "product", model="preview", skip_bad_rows=True))
    assert (submitted.total, submitted.skipped) == (3, 2)
    assert reading.state_counts(services.ledger, submitted.batch_id) == {State.PLANNED: 3}
    skipped = list(reading.skipped_rows(services.ledger, submitted.batch_id))
    assert [row.row["sku"] for row in skipped] == ["A-1", "A-9"]
    assert all(row.problems for row in skipped)


def test_no_usable_row_is_an_error_even_when_skipping(services: Services) -> None:
    """A batch of nothing is never started."""
    with pytest.raises(InputError, match="no row is left"):
        submit(services, Request(BAD[-1:], "product", model="preview", skip_bad_rows=True))


def test_an_idempotency_key_gives_the_first_batch_again(services: Services) -> None:
    """A web request that is sent twice submits once."""
    request = Request(ROWS, "product", model="preview", idempotency_key="order-17")
    first = submit(services, request)
    second = submit(services, request)
    assert (second.batch_id, second.existing) == (first.batch_id, True)
    assert len(reading.list_batches(services.ledger)) == 1


def test_disapproval_takes_the_batch_back(services: Services) -> None:
    """What the caller's check raises reaches the caller, and no batch is left."""

    def disapprove(_summary: object) -> None:
        raise InputError("too dear")

    with pytest.raises(InputError, match="too dear"):
        submit(services, Request(ROWS, "product", model="preview"), approve=disapprove)
    assert reading.list_batches(services.ledger) == []


@pytest.mark.parametrize(
    ("model", "variable"), [("preview", "CMS_URL"), ("preview-async", "CMS_URL"), ("preview", "CMS_HOOK")]
)
def test_rehearsal_cards_do_not_reach_a_shop_by_accident(tmp_path: Path, model: str, variable: str) -> None:
    """``preview`` refuses a configured bucket, CMS or hook unless the rehearsal is asked for."""
    services = Services(load_settings({variable: "http://127.0.0.1:9"}, tmp_path))
    with pytest.raises(InputError, match=f"{variable} would receive them"):
        submit(services, Request(ROWS, "product", model=model))
    assert submit(services, Request(ROWS, "product", model=model, rehearse_delivery=True)).total == 3


def test_the_price_is_frozen_at_submission(services: Services) -> None:
    """A later change of ``models.toml`` does not change what a running batch reserves."""
    batch_id = submit(services, Request(ROWS, "product", model="nano-banana-2")).batch_id
    assert services.ledger.frozen == {}
    with services.ledger.read() as connection:
        catalogue = json.loads(connection.exec_driver_sql("SELECT catalogue FROM imagechord_batch").scalar_one())
    assert catalogue["prices_usd_micros"]["nano-banana-2"] == 5000
    assert reading.batch_models(services.ledger, batch_id) == ["nano-banana-2"]


def test_the_same_file_and_options_have_the_same_digest(tmp_path: Path) -> None:
    """A second ``run`` of the same command is recognised; another model or another byte is another run."""
    source = tmp_path / "rows.csv"
    source.write_text("sku,name,color\nA,cup,red\n", "utf-8")
    first = digest_of(Request(source, "product", model="preview"))
    assert digest_of(Request(source, "product", model="preview")) == first
    assert digest_of(Request(source, "product", model="preview", hold_publish=True)) == first
    assert digest_of(Request(source, "product", model="seedream-5")) != first
    source.write_text("sku,name,color\nA,cup,blue\n", "utf-8")
    assert digest_of(Request(source, "product", model="preview")) != first
