"""``imagechord limits``: showing and changing what the cluster goes by."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.devstack.valkey import EmbeddedValkey
from tests.integration.cli.shop import Shop


def limit(shop: Shop, name: str) -> dict[str, Any]:
    """How one limit stands."""
    found: dict[str, Any] = {each["name"]: each for each in shop.json("limits")["limits"]}[name]
    return found


def test_limits_are_shown_and_changed_without_a_broker(shop: Shop) -> None:
    """The ledger keeps a change for the next run; what was not named stays; --reset goes back."""
    assert limit(shop, "nano-banana-2")["per_minute"] == 60
    assert not any(".imagechord" in name for name in shop.files()), "looking makes nothing"

    ran = shop.call("limits", "nano-banana-2", "--per-minute", "7.5", "--per-day", "1000")
    assert ran.returncode == 0, ran.stderr
    assert "7.5*" in ran.stdout
    assert "1,000*" in ran.stdout
    assert "no broker is set" in ran.stderr

    shop.call("limits", "nano-banana-2", "--in-flight", "none")
    state = limit(shop, "nano-banana-2")
    assert (state["per_minute"], state["in_flight"], state["per_day"]) == (7.5, None, 1000)
    assert set(state["overridden"]) == {"per_minute", "in_flight", "per_day"}

    shop.call("limits", "nano-banana-2", "--reset")
    state = limit(shop, "nano-banana-2")
    assert (state["per_minute"], state["in_flight"], state["per_day"], state["overridden"]) == (60, 8, None, [])


def test_limits_are_told_to_the_broker(shop: Shop) -> None:
    """The CMS is one of the names, where one is called."""
    with EmbeddedValkey() as valkey:
        shop.environment |= {"REDIS_URL": valkey.url, "CMS_URL": "http://127.0.0.1:9"}
        assert shop.call("limits", "cms", "--per-minute", "12").returncode == 0
        state = limit(shop, "cms")
        assert (state["per_minute"], state["in_flight"], state["pace_per_minute"]) == (12, 8, 0)
        table = shop.call("limits").stdout
    assert "12*" in table
    assert "nano-banana-pro" in table


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("nano-banana-2", "--per-minute", "0"), "--per-minute '0' is not a number above 0; write it like"),
        (("nano-banana-2", "--in-flight", "2.5"), "--in-flight '2.5' is not a whole number above 0"),
        (("nano-banana-2", "--per-day", "inf"), "--per-day 'inf' is not a whole number above 0"),
        (("nano-banana-2", "--per-day", "5", "--reset"), "--reset goes back to the catalogue, so no value can be set"),
        (("--per-day", "5"), "which limit? Name a model or 'cms'"),
        (
            ("banana", "--per-day", "5"),
            "'banana' is not limited here; there are: preview, preview-async, nano-banana-2",
        ),
        (("banana",), "'banana' is not limited here"),
        (("cms", "--reset"), "'cms' is not limited here; set CMS_URL first"),
    ],
)
def test_a_wrong_limit_says_what_to_do(shop: Shop, arguments: tuple[str, ...], says: str) -> None:
    """Value and mend, and nothing is changed."""
    ran = shop.call("limits", *arguments)
    assert ran.returncode == 2
    assert says in " ".join(ran.stderr.split())
    assert "*" not in ran.stdout
