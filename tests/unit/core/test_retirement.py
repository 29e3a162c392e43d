"""Models that go away: said two months before, refused from the day on."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tasks.core.catalogue import ModelSpec
from tasks.core.retirement import has_retired, notice, refusal_of_retired, retires_soon

TODAY = date(2026, 11, 22)
TOMORROW = TODAY + timedelta(days=1)


def models(**fields: dict[str, Any]) -> dict[str, ModelSpec]:
    """Models by alias."""
    return {alias: ModelSpec(alias=alias, provider="p", model=alias, **more) for alias, more in fields.items()}


@pytest.mark.parametrize(
    ("retires", "soon", "gone"),
    [
        (None, False, False),
        (TODAY + timedelta(days=61), False, False),
        (TODAY + timedelta(days=60), True, False),
        (TOMORROW, True, False),
        (TODAY, False, True),
        (TODAY - timedelta(days=400), False, True),
    ],
)
def test_sixty_days_before_and_from_the_day_on(retires: date | None, soon: bool, gone: bool) -> None:
    """Nothing, then a warning, then the end; the day itself belongs to the end."""
    (spec,) = models(old={"retires": retires}).values()
    assert (retires_soon(spec, TODAY), has_retired(spec, TODAY)) == (soon, gone)


@pytest.mark.parametrize(
    ("old", "others", "instead"),
    [
        ({"fallback": ("next",)}, {"next": {}}, ", for instance --model next"),
        (
            {"uses": ("bulk",)},
            {"hero": {"uses": ("hero",)}, "next": {"uses": ("bulk",)}},
            ", for instance --model next",
        ),
        (
            {"fallback": ("gone",), "uses": ("bulk",)},
            {"gone": {"retires": TODAY}, "next": {"uses": ("bulk",)}},
            ", for instance --model next",
        ),
        ({"uses": ("bulk",)}, {"hero": {"uses": ("hero",)}}, ""),
    ],
)
def test_the_way_out_is_named(old: dict[str, Any], others: dict[str, Any], instead: str) -> None:
    """The first fallback that stays, else a model of the same use; else it is for the reader to choose."""
    both = models(old={"retires": TOMORROW} | old, **others)
    assert notice(both, "old", TODAY) == f"old retires on 2026-11-23, in 1 day: take another model{instead} by then"


def test_nothing_is_said_of_models_that_stay() -> None:
    """Also when they have a date, far away."""
    both = models(stays={}, later={"retires": date(2030, 1, 1)})
    assert [notice(both, alias, TODAY) for alias in both] == ["", ""]


def test_only_what_is_gone_is_refused() -> None:
    """One sentence for each."""
    some = models(
        old={"retires": date(2026, 10, 29)}, soon={"retires": TOMORROW + timedelta(days=2)}, gone={"retires": TODAY}
    )
    refusal = refusal_of_retired(some, some, TODAY)
    assert refusal == (
        "old was retired on 2026-10-29: take another model. gone was retired on 2026-11-22: take another model"
    )
    assert refusal_of_retired(some, ["soon"], TODAY) == ""
    assert "in 3 days" in notice(some, "soon", TODAY)
