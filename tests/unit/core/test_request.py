from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.core.errors import InputError
from tasks.core.request import PRIORITIES, Request, described

ROWS = [{"sku": "A-1", "name": "컵"}]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "model": st.text(),
            "column_map": st.dictionaries(st.text(), st.text()),
            "limit": st.integers(1),
            "name": st.text(),
            "budget_usd": st.one_of(st.decimals(0, 10**6).map(str), st.floats(0, 10**6), st.integers(0, 10**6)),
            "skip_bad_rows": st.booleans(),
            "fresh": st.booleans(),
            "idempotency_key": st.text(max_size=200),
            "priority": st.sampled_from(PRIORITIES),
        },
    )
)
def test_options_survive_json(options: dict[str, Any]) -> None:
    """A worker gets the request that was made, to the micro-dollar."""
    made = Request("rows.csv", "product", **options)
    again = Request("rows.csv", **json.loads(json.dumps(made.options)))
    assert again.options == made.options
    assert again.budget_usd_micros == made.budget_usd_micros


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"priority": "urgent"}, "unknown priority 'urgent'; there are low, normal, high"),
        ({"budget_usd": "ten"}, "not an amount"),
        ({"limit": "10"}, "limit is '10'; it must be of type int"),
        ({"template": None}, "template is None; it must be of type str"),
        ({"skip_bad_rows": None}, "skip_bad_rows is None"),
        ({"column_map": ["a=b"]}, "it must be of type mapping"),
        ({"idempotency_key": "k" * 201}, "more than 200 characters"),
    ],
)
def test_an_option_that_cannot_be_meant_is_refused(options: dict[str, Any], says: str) -> None:
    """In a sentence, wherever it came from."""
    with pytest.raises(InputError, match=says):
        Request(**{"source": ROWS, "template": "product", **options})


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"template": "product"}, "needs template, and source or rows"),
        ({"rows": ROWS}, "needs template, and source or rows"),
        ({"rows": [{}] * 501, "template": "product"}, "more than 500 go through a file"),
        ({"rows": "A-1", "template": "product"}, "rows is not a list"),
        ({"source": 5, "template": "product"}, "it must be a path or s3://bucket/key"),
        ({"rows": ROWS, "template": "product", "modle": "x"}, "does not take modle"),
    ],
)
def test_a_message_with_wrong_arguments_is_explained(values: dict[str, Any], says: str) -> None:
    """``send_task`` from another code base gets a sentence, not a TypeError."""
    with pytest.raises(InputError, match=says):
        Request.from_message(values)


def test_a_message_gives_rows_or_a_source() -> None:
    """Both are sources."""
    assert Request.from_message({"rows": ROWS, "template": "product", "priority": "high"}).source == ROWS
    assert Request.from_message({"source": "s3://b/k.csv", "template": "product"}).source == "s3://b/k.csv"
    assert Request(Path("a.csv"), "product").priority == "normal"


def test_a_request_is_described_without_rows_and_secrets() -> None:
    """Of a webhook's address only the host: the rest may be a key."""
    webhook = "https://user:hunter22@shop.example.com/hooks/secret-of-the-hook?t=1"
    shown = described({"rows": ROWS * 3, "template": "product", "webhook": webhook, "limit": None})
    assert shown == "3 rows, template='product', webhook=shop.example.com, limit=None"


def test_a_description_is_short() -> None:
    """Whatever is given."""
    shown = described({"name": "n" * 1000, "webhook": 5})
    assert shown.endswith("…, webhook=5")
    assert len(shown) < 300
