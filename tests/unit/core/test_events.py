"""What a webhook may be, and what it is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from tasks.core.errors import InputError
from tasks.core.events import Event, body, checked_url, is_given_up, may_be_told, message_id, wait_seconds

IMAGE = Event(
    id=17,
    batch_id="b-1",
    type="image.refused",
    happened_at=datetime(2026, 11, 22, 10, 45, 4, 500_000, tzinfo=UTC),
    details={
        "model": "seedream-5",
        "public_url": None,
        "cost_usd_micros": 15_000,
        "error_class": "refused",
        "error_step": "generate",
        "error_message": "no" * 1000,
    },
    image_id=3,
    key="머그컵-1",
    variant=2,
)
BATCH = Event(
    id=18,
    batch_id="b-1",
    type="batch.finished",
    happened_at=IMAGE.happened_at,
    details={
        "name": "products.csv",
        "round": 1,
        "total": 3,
        "counts": {"published": 2, "failed": 1},
        "skipped": 4,
        "spent_usd_micros": 45_000,
        "problems": ["x" * 1000] * 100,
    },
)


def test_an_events_name_is_the_ledgers_and_its_own() -> None:
    """The same in every try, another in every ledger, and without a full stop, which the signature is made with."""
    assert message_id("0f-a1", 17) == "evt_0fa1_17"


def test_an_image_is_told() -> None:
    """With its key, where it is now, what it has cost and why it ended."""
    told = json.loads(body(IMAGE))
    assert told["data"].pop("error_message") == "no" * 250
    assert told == {
        "type": "image.refused",
        "timestamp": "2026-11-22T10:45:04.500+00:00",
        "data": {
            "batch": "b-1",
            "sequence": 17,
            "sku": "머그컵-1",
            "variant": 2,
            "state": "refused",
            "model": "seedream-5",
            "url": None,
            "cost_usd": 0.015,
            "error_class": "refused",
            "error_step": "generate",
        },
    }


def test_what_is_published_has_a_url_and_no_error() -> None:
    """Every field is there, with null where there is nothing to say."""
    quiet: dict[str, Any] = dict.fromkeys(("error_class", "error_step", "error_message"))
    details = {**IMAGE.details, **quiet, "public_url": "https://cdn/x.png"}
    told = json.loads(body(replace(IMAGE, type="image.published", details=details)))["data"]
    assert (told["state"], told["url"], told["error_message"]) == ("published", "https://cdn/x.png", None)


def test_a_batch_is_told() -> None:
    """With its counts; of problems only the first, and those cut short."""
    told = json.loads(body(BATCH))["data"]
    assert told.pop("problems") == ["x" * 500] * 20
    assert told == {
        "batch": "b-1",
        "sequence": 18,
        "name": "products.csv",
        "round": 1,
        "total": 3,
        "counts": {"published": 2, "failed": 1},
        "skipped_rows": 4,
        "spent_usd": 0.045,
    }


def test_a_body_is_bounded() -> None:
    """Whatever words strangers have used."""
    wordy = {**IMAGE.details, "error_message": "\ud800\0한" * 1000}
    assert len(body(replace(IMAGE, key="한" * 400, details=wordy))) < 10_000
    assert len(body(BATCH)) < 15_000


def test_waits_grow_from_a_second_to_five_minutes() -> None:
    """As long as was asked for, where that is more; never longer than five minutes."""
    assert [wait_seconds(n) for n in (1, 2, 3, 9, 10, 10_000)] == [1, 2, 4, 256, 300, 300]
    assert [wait_seconds(1, asked) for asked in (None, 0.5, 30.0, 86_400.0)] == [1, 1, 30, 300]


def test_given_up_after_so_many_hours_of_waiting() -> None:
    """Counted by the waits alone: a night without workers is not the receiver's fault."""
    assert not is_given_up(1, 24)
    in_a_day = next(n for n in range(1, 1000) if is_given_up(n, 24))
    assert sum(wait_seconds(n) for n in range(1, in_a_day)) <= 86_400 < 86_400 + 300
    assert is_given_up(in_a_day + 1, 24)


@pytest.mark.parametrize(
    ("address", "secure", "allow_private", "may"),
    [
        ("93.184.216.34", True, False, True),
        ("93.184.216.34", False, False, False),
        ("93.184.216.34", False, True, False),
        ("10.0.0.7", True, False, False),
        ("10.0.0.7", False, True, True),
        ("127.0.0.1", True, True, True),
        ("169.254.169.254", False, True, False),
    ],
)
def test_which_addresses_may_be_told(address: str, secure: bool, allow_private: bool, may: bool) -> None:
    """The public internet over TLS; one's own network where that is wished; a cloud's metadata never."""
    assert may_be_told(address, secure=secure, allow_private=allow_private) is may


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://shop.example.com/webhooks", "begins with http, not https; for a server of your own"),
        ("ftp://shop.example.com", "is not a URL"),
        ("shop.example.com/webhooks", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://shop.example.com/a b", "is not a URL"),
        ("https://shop.example.com\\@evil.example.com/", "is not a URL"),
        ("https://shop.example.com/\n", "is not a URL"),
        ("https://shop.example.com:port/", "cannot be read"),
        ("https://[::1/", "cannot be read"),
        ("https://user:pw@shop.example.com/", "holds a user or a password"),
        ("https://shop.example.com/" + "x" * 2000, "more than 2000 characters"),
        ("https://127.0.0.1/", "host 127.0.0.1 may not be told; for a server of your own set allow_private"),
        ("https://169.254.169.254/latest", "may not be told"),
        ("https://localhost/", "host localhost may not be told"),
        ("https://shop.localhost/", "may not be told"),
    ],
)
def test_urls_that_are_refused(url: str, says: str) -> None:
    """Each with what would be right."""
    with pytest.raises(InputError) as refused:
        checked_url(url, allow_private=False)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("url", "allow_private"),
    [
        ("https://shop.example.com/webhooks/images?key=1", False),
        ("https://93.184.216.34:8443/", False),
        ("http://localhost:8000/webhooks", True),
        ("http://10.0.0.7/webhooks", True),
        ("http://shop.internal/webhooks", True),
    ],
)
def test_urls_that_are_taken(url: str, allow_private: bool) -> None:
    """As they are."""
    assert checked_url(url, allow_private=allow_private) == url
