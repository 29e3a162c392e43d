"""Where pictures are delivered to, and what is known of a destination that takes none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tasks.core.dispatch import StepName
from tasks.core.errors import ErrorClass
from tasks.core.limits import CMS
from tasks.core.states import State

S3 = "s3"
"""Public storage, be it a bucket or a folder."""

DESTINATIONS = {S3: StepName.UPLOAD, CMS: StepName.PATCH}
"""Each destination, and the step that delivers to it."""

WAITS_IN = {S3: State.GENERATED, CMS: State.UPLOADED}
"""The state in which a picture waits for its destination."""

PASSING = frozenset({ErrorClass.NOT_SENT, ErrorClass.RATE_LIMITED, ErrorClass.OVERLOADED})
"""Errors that may be the destination's own trouble."""

ANSWERS = frozenset({ErrorClass.INVALID, ErrorClass.REFUSED, ErrorClass.ACCOUNT})
"""Errors that show that the destination lives."""


@dataclass(frozen=True, slots=True)
class Outage:
    """Delivery to ``destination`` is held since then, because of this error, the last one that was met.

    ``probe_due``: a picture may be sent there to see whether it is back.
    """

    destination: str
    since: datetime
    error_class: str
    message: str
    probe_due: bool = False


def destination_of(step: StepName) -> str:
    """Where a step delivers to. Raises KeyError for one that delivers nothing."""
    return _DESTINATION[step]


_DESTINATION = {step: name for name, step in DESTINATIONS.items()}
