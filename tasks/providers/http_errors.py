"""What an HTTP answer that is no success means, for every provider that speaks HTTP itself. Pure.

Why 500, 503 and 529 are Overloaded but 502, 504 and 408 are Ambiguous: the first are the service's own word that
it failed; the others are a gateway's, which does not know what became of the request. A redirect is never followed:
a POST that is repeated elsewhere may be paid twice, and the mend is the right address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.core.errors import Account, Ambiguous, Invalid, Overloaded, RateLimited, Refused, StepError
from tasks.core.redaction import redacted

ErrorCodes = Mapping[str, type[StepError]]
"""A maker's own codes, in lower case, and their classes: they say more than the status does."""

_BY_STATUS: dict[int, type[StepError]] = {
    401: Account,
    402: Account,
    403: Account,
    408: Ambiguous,
    429: RateLimited,
    500: Overloaded,
    503: Overloaded,
    529: Overloaded,
}
_BY_HUNDREDS: dict[int, type[StepError]] = {3: Account, 4: Invalid, 5: Ambiguous}

_MENDS: dict[type[StepError], str] = {
    Refused: "change the prompt",
    Account: "check the key, the credit and the address",
    Ambiguous: "the picture may have been paid for",
}
_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Unsuccessful:
    """An answer that is no success. ``codes`` are the names that it gives to its trouble, the most telling first.

    ``message`` is prose for people and decides nothing. ``retry_after_seconds`` is what it asks for, if it does;
    ``trace_id`` the service's own name for the call.
    """

    status: int
    codes: tuple[str, ...] = ()
    message: str = ""
    retry_after_seconds: float | None = None
    trace_id: str | None = None


def error_of(service: str, answer: Unsuccessful, known: ErrorCodes) -> StepError:
    """The error that the answer calls for: by its first code that is ``known``, in any case, else by its status."""
    kind = next((known[code.lower()] for code in answer.codes if code.lower() in known), _class_of(answer.status))
    named = " ".join([str(answer.status), *answer.codes[:1]])
    mend = f"; {_MENDS[kind]}" if kind in _MENDS else ""
    return kind(
        f"{service} answered {named}: {brief(answer.message) or 'no reason given'}{mend}",
        retry_after_seconds=answer.retry_after_seconds,
        trace_id=answer.trace_id,
    )


def brief(text: str) -> str:
    """One line of at most 300 characters without secrets, for a message."""
    line = redacted(" ".join(text.split()))  # before it is cut: half a secret is not known again
    return line if len(line) <= _LONGEST_REASON else line[: _LONGEST_REASON - 1] + "…"


def _class_of(status: int) -> type[StepError]:
    """The class of a status. One that we do not know may stand for anything: perhaps paid."""
    return _BY_STATUS.get(status) or _BY_HUNDREDS.get(status // 100, Ambiguous)
