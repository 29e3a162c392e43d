from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.core import routing
from tasks.core.catalogue import Limits
from tasks.core.limits import Limited, LimitState, format_rate, rate_limit_text


@pytest.mark.parametrize(
    ("zone", "moment", "midnight", "hours"),
    [
        ("UTC", datetime(2026, 11, 22, 14, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC), 0),
        ("Asia/Seoul", datetime(2026, 11, 22, 16, tzinfo=UTC), datetime(2026, 11, 22, 15, tzinfo=UTC), 9),
        ("America/Los_Angeles", datetime(2026, 7, 1, 6, tzinfo=UTC), datetime(2026, 6, 30, 7, tzinfo=UTC), -7),
        ("America/Los_Angeles", datetime(2026, 12, 1, 9, tzinfo=UTC), datetime(2026, 12, 1, 8, tzinfo=UTC), -8),
    ],
)
def test_the_day_is_the_providers(zone: str, moment: datetime, midnight: datetime, hours: int) -> None:
    """Its midnight and its distance from UTC, in summer and in winter."""
    limited = Limited("model", Limits(per_day=1, day_timezone=zone), 60.0)
    assert limited.midnight_before(moment) == midnight
    assert limited.utc_offset_seconds(moment) == hours * 3600


def test_a_time_zone_that_is_none_is_refused() -> None:
    """By its name, when the file is read."""
    with pytest.raises(ValueError, match="there is no time zone 'Mars/Olympus'; write it like Asia/Seoul"):
        Limits(day_timezone="Mars/Olympus")


@pytest.mark.parametrize(("rate", "text"), [(None, None), (30.0, "30/m"), (7.5, "7.5/m"), (1200.0, "1200/m")])
def test_a_rate_is_written_as_celery_reads_it(rate: float | None, text: str | None) -> None:
    """What ``celery control rate_limit`` takes."""
    assert rate_limit_text(rate) == text


@pytest.mark.parametrize(
    ("task", "name", "queue"),
    [
        ("imagechord.generate.nano-banana-2", "nano-banana-2", "imagechord.nano-banana-2"),
        ("imagechord.patch_cms", "cms", "imagechord.deliver"),
    ],
)
def test_what_is_limited_has_a_task_and_a_queue(task: str, name: str, queue: str) -> None:
    """Models under their aliases, and the CMS."""
    assert routing.limited_name(task) == name
    assert routing.limited_task(name) == task
    assert routing.limited_queue(name) == queue


@pytest.mark.parametrize("task", ["imagechord.upload_s3", "imagechord.sweep", "shop.generate.cups"])
def test_other_tasks_are_not_limited(task: str) -> None:
    """They call nobody who counts."""
    assert routing.limited_name(task) is None


@pytest.mark.parametrize(
    ("per_minute", "shown"), [(1200.0, "1,200"), (289.6, "290"), (10.4, "10"), (2.5, "2.5"), (3.0, "3"), (0.0, "0")]
)
def test_rates_as_people_read_them(per_minute: float, shown: str) -> None:
    """Whole numbers, and one place for those below ten."""
    assert format_rate(per_minute) == shown


def test_the_lower_limit_is_in_force() -> None:
    """The configured one, the found one, or none."""
    assert LimitState("m").in_force_per_minute is None
    assert LimitState("m", per_minute=600).in_force_per_minute == 600
    assert LimitState("m", per_minute=600, found_per_minute=290).in_force_per_minute == 290
    assert LimitState("m", found_per_minute=290).in_force_per_minute == 290
