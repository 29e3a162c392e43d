"""Why pictures wait for somebody, in words that the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping
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

    PAUSED = "paused"
    BUDGET = "budget"
    DAY_BUDGET = "day_budget"
    ACCOUNT = "account"
    FAILURES = "failures"
    NO_ROOM = "no_room"
    PUBLISH = "publish"
    CANCELLED = "cancelled"


MEANS: Mapping[Reason, str] = {
    Reason.PAUSED: "A person said stop: nothing is bought, uploaded or published.",
    Reason.BUDGET: "The batch's money is spent: nothing more is bought.",
    Reason.DAY_BUDGET: "The model's money for today is spent: it goes on at its midnight.",
    Reason.ACCOUNT: "Key, credit or quota: every call would fail. Mend it; `imagechord doctor` asks the provider.",
    Reason.FAILURES: "Many calls in a row failed equally. Mend what their message names.",
    Reason.NO_ROOM: "What is bought could not be kept: the disk of staging is full. Make room.",
    Reason.PUBLISH: "Uploaded, and a person looks before the CMS is written.",
    Reason.CANCELLED: "A person ended the batch: the images end, in the state of that name.",
}
"""What each reason means, and what there is to mend; ``.github/TROUBLESHOOTING.md`` is made from it."""


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
