"""``.github/TROUBLESHOOTING.md`` is what the classes of errors say, and they say something about each word."""

from __future__ import annotations

from pathlib import Path

from tasks.core.errors import ErrorClass
from tasks.core.holds import MEANS, Reason
from tasks.core.preferences import Preferences
from tasks.core.retry import BreakerRules, RetryRules
from tests import troubleshooting


def test_the_page_is_what_the_classes_say() -> None:
    """After a change of an error, a reason or the table of retries run ./scripts/troubleshooting."""
    assert troubleshooting.PAGE.read_text("utf-8") == troubleshooting.page()


def test_every_word_that_status_may_name_is_explained() -> None:
    """Each error class and each reason of a hold has what it means, and what to do."""
    page = troubleshooting.page()
    assert [word for word in (*ErrorClass, *Reason) if f"`{word}`" not in page] == []
    assert {kind.error_class for kind in troubleshooting.kinds()} == set(ErrorClass)
    assert [kind for kind in troubleshooting.kinds() if not all(kind.trouble)] == []
    assert set(MEANS) == set(Reason)


def test_the_page_tells_the_shipped_numbers() -> None:
    """The rules that it is made with are those of a worker without settings of its own."""
    preferences = Preferences()
    assert (preferences.max_attempts, preferences.max_delivery_attempts) == (
        RetryRules().max_attempts,
        RetryRules().max_delivery_attempts,
    )
    assert preferences.hold_after_failures == BreakerRules().calls


def test_settings_that_the_page_names_exist() -> None:
    """A setting in backticks is one of imagechord.toml's, as that file writes it."""
    toml = (Path(__file__).parents[2] / "config" / "imagechord.toml").read_text("utf-8")
    named = (
        "max_attempts",
        "max_delivery_attempts",
        "hold_after_failures",
        "delivery_failures_in_a_row",
        "deliver_for_hours",
        "on_unknown",
    )
    page = troubleshooting.page()
    assert [name for name in named if f"`{name}" not in page or f"\n{name} =" not in toml] == []
