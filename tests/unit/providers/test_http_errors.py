"""What follows from an HTTP answer that is no success."""

from __future__ import annotations

import pytest

from tasks.core.errors import Account, Ambiguous, Invalid, Overloaded, RateLimited, Refused, StepError
from tasks.core.redaction import conceal
from tasks.providers.http_errors import Unsuccessful, error_of

CODES: dict[str, type[StepError]] = {"moderation_blocked": Refused, "insufficient_quota": Account}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *[(status, Account) for status in (301, 307, 401, 402, 403)],
        *[(status, Invalid) for status in (400, 404, 405, 409, 413, 422)],
        (429, RateLimited),
        *[(status, Overloaded) for status in (500, 503, 529)],
        *[(status, Ambiguous) for status in (408, 502, 504, 520, 524, 599, 100, 700)],
    ],
)
def test_the_status_decides(status: int, kind: type[StepError]) -> None:
    """A service's own word that it failed costs nothing, a gateway's does not say."""
    assert type(error_of("OpenAI", Unsuccessful(status), CODES)) is kind


@pytest.mark.parametrize(
    ("status", "codes", "kind"),
    [
        (429, ("Insufficient_Quota",), Account),
        (400, ("new", "moderation_blocked"), Refused),
        (429, ("new", "newer"), RateLimited),
    ],
)
def test_a_code_says_more_than_the_status(status: int, codes: tuple[str, ...], kind: type[StepError]) -> None:
    """The first known code wins, whatever its case; unknown ones leave it to the status."""
    assert type(error_of("OpenAI", Unsuccessful(status, codes), CODES)) is kind


def test_prose_decides_nothing() -> None:
    """A message may name any code; it is for people."""
    assert isinstance(error_of("OpenAI", Unsuccessful(400, message="insufficient_quota"), CODES), Invalid)


def test_what_is_told() -> None:
    """Who answered what, why, and what to do; with what the answer asks for."""
    error = error_of("Ark", Unsuccessful(400, ("moderation_blocked", "x"), "no\n such  thing", trace_id="r7"), CODES)
    assert str(error) == "Ark answered 400 moderation_blocked: no such thing; change the prompt"
    assert error.trace_id == "r7"
    limited = error_of("Ark", Unsuccessful(429, retry_after_seconds=7.0), CODES)
    assert (str(limited), limited.retry_after_seconds) == ("Ark answered 429: no reason given", 7.0)


def test_a_reason_is_brief_and_tells_no_secret() -> None:
    """Half a secret at the cut would not be known again."""
    conceal({"sk-very-secret-key"})
    told = str(error_of("Ark", Unsuccessful(422, message="x" * 290 + " sk-very-secret-key " + "y" * 900), CODES))
    assert "sk-very" not in told
    assert len(told) < 350
