"""One table that says what follows a failure. Pure: error and counts in, decision out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.core.errors import ErrorClass
from tasks.core.states import State

MAX_COUNTDOWN_SECONDS = 60.0
"""A longer wait is given back to the ledger (``not_before``): the broker would deliver it again and again."""

Policy = Literal["retry_once", "hold"]


@dataclass(frozen=True, slots=True)
class RetryRules:
    """``max_attempts``: paid calls of one image in total. ``max_delivery_attempts``: tries of an upload or patch."""

    max_attempts: int = 3
    max_delivery_attempts: int = 10
    max_unsent: int = 12
    on_unknown: Policy = "retry_once"


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """So many ``calls`` in a row that fail alike hold their model; one that is overloaded goes on by itself, later."""

    calls: int = 10
    overloaded_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed try. The counts include it; ``unsent`` counts tries that could not have cost anything.

    ``outage``: delivery to this destination is held, so the failure says nothing about the image.
    """

    error_class: ErrorClass
    attempts: int = 0
    unknowns: int = 0
    unsent: int = 0
    retry_after_seconds: float | None = None
    outage: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """``wait_seconds`` is set exactly when the image is tried again; ``end`` exactly when it is not.

    ``holds_others``: every other image of the model, or in delivery of the batch, would meet the same end; hold them,
    for ``hold_seconds`` if that is set.
    ``parks``: the image waits in the ledger until its destination is back, and its tries begin anew then.
    ``anew``: the message cannot come again for the next try, so the ledger sends another.
    """

    wait_seconds: float | None = None
    end: State | None = None
    holds_others: bool = False
    hold_seconds: float | None = None
    parks: bool = False
    anew: bool = False

    @property
    def gives_back(self) -> bool:
        """Whether the wait is too long for a message and goes to the ledger."""
        waits = self.wait_seconds
        return self.parks or (waits is not None and (self.anew or waits > MAX_COUNTDOWN_SECONDS))


def backoff_seconds(tries: int) -> float:
    """2ⁿ seconds after the n-th try, never more than a minute."""
    return min(2.0 ** min(tries, 10), MAX_COUNTDOWN_SECONDS)


def after_generate(failure: Failure, rules: RetryRules) -> Decision:  # noqa: PLR0911 a table: one row, one return
    """What follows a failed paid call."""
    asked = failure.retry_after_seconds
    match failure.error_class:
        case ErrorClass.REFUSED:
            return Decision(end=State.REFUSED)
        case ErrorClass.INVALID:
            return Decision(end=State.FAILED)
        case ErrorClass.ACCOUNT:
            return Decision(end=State.HELD, holds_others=True)
        case ErrorClass.RATE_LIMITED:
            # The model's queue is paused for everybody; the image did nothing wrong.
            return Decision(wait_seconds=max(asked or 0.0, backoff_seconds(failure.unsent)))
        case ErrorClass.NOT_SENT:
            if failure.unsent >= rules.max_unsent:
                return Decision(end=State.HELD)
            return Decision(wait_seconds=backoff_seconds(failure.unsent))
        case ErrorClass.LOST:  # paid for, and the provider has it no more: a person says whether to pay again
            return Decision(end=State.HELD)
        case ErrorClass.AMBIGUOUS:
            return _after_unknown(failure, rules)
        case _:  # overloaded, no image, bad bytes: the image has used up an attempt
            if failure.attempts >= rules.max_attempts:
                return Decision(end=State.FAILED)
            return Decision(wait_seconds=max(asked or 0.0, backoff_seconds(failure.attempts)))


def after_failing_alike(error_class: ErrorClass, rules: BreakerRules) -> Decision:
    """What follows instead of giving an image up, when it is not the image."""
    overloaded = error_class is ErrorClass.OVERLOADED
    return Decision(end=State.HELD, holds_others=True, hold_seconds=rules.overloaded_seconds if overloaded else None)


def _after_unknown(failure: Failure, rules: RetryRules) -> Decision:
    if rules.on_unknown == "hold":
        return Decision(end=State.UNKNOWN)
    if failure.unknowns > 1 or failure.attempts >= rules.max_attempts:
        return Decision(end=State.FAILED)
    return Decision(wait_seconds=backoff_seconds(failure.attempts))


PARKED = Decision(wait_seconds=0.0, parks=True)


def after_delivery(failure: Failure, rules: RetryRules) -> Decision:
    """What follows a failed upload or patch: both are free and may be repeated."""
    match failure.error_class:
        case ErrorClass.ACCOUNT:
            return Decision(end=State.HELD, holds_others=True)
        case ErrorClass.LOST:
            return Decision(end=State.HELD)
        case ErrorClass.INVALID | ErrorClass.REFUSED | ErrorClass.POISON:
            return Decision(end=State.FAILED)
        case _ if failure.outage:
            return PARKED
        case _ if failure.attempts >= rules.max_delivery_attempts:
            # The picture is paid for and the error may pass: a person says when to try again.
            return Decision(end=State.HELD)
        case _:
            wait = max(failure.retry_after_seconds or 0.0, backoff_seconds(failure.attempts))
            return Decision(wait_seconds=wait)
