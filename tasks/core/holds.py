"""Why pictures wait for somebody, in words that the ledger keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

WHOLE = ""
"""The model of a hold on a whole batch."""


class Reason(StrEnum):
    """Why images are ``held``; it stands in their ``error_class``, where an error of a call would. Values are stable.

    An image that waits because of its own error (a full disk, a provider that cannot be reached) has that error's
    class instead.
    """

    PAUSED = "paused"  # a person said stop: nothing is bought, uploaded or published
    BUDGET = "budget"  # the batch's money is spent: nothing more is bought
    DAY_BUDGET = "day_budget"  # the model's money for today is spent: it goes on at its midnight
    ACCOUNT = "account"  # key, credit or quota: every call would fail
    FAILURES = "failures"  # many calls in a row failed equally
    NO_ROOM = "no_room"  # what is bought could not be kept: the disk of staging is full
    PUBLISH = "publish"  # uploaded, and a person looks before the CMS is written
    CANCELLED = "cancelled"  # a person ended the batch: the images end, in the state of that name


TOLD = (Reason.BUDGET, Reason.DAY_BUDGET, Reason.ACCOUNT, Reason.FAILURES, Reason.NO_ROOM)
"""What people are told of: the other reasons are their own doing."""

OF_THE_BATCH = (Reason.BUDGET, Reason.NO_ROOM)
"""Trouble that its models meet one after the other, and that is one."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a batch, or one model of it, waits. ``until``: then it goes on by itself; ``None`` is when a person says.

    ``falls_back``: what need not wait for the model goes on with a fallback.
    """

    batch_id: str
    model: str
    reason: Reason
    message: str
    since: datetime
    until: datetime | None
    falls_back: bool = False
