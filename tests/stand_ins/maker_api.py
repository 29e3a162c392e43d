"""What the stand-ins of makers' APIs have in common: one fault at a time, and books of what was paid for.

A subclass answers as its maker does: the same paths, shapes, status codes and headers, for a success and for each
:class:`MakerFault`. It appends to ``paid`` every request that the maker would charge for, or would have begun to.
"""

from __future__ import annotations

from enum import Enum, auto

from tasks.core.errors import (
    Account,
    Ambiguous,
    BadBytes,
    Invalid,
    NoImage,
    Overloaded,
    RateLimited,
    Refused,
    StepError,
)
from tests.stand_ins.http_server import Request, StandIn


class MakerFault(Enum):
    """What goes wrong with the paid request."""

    RATE_LIMITED = auto()
    RATE_LIMITED_WITH_RETRY_AFTER = auto()  # Retry-After: 7
    SERVER_ERROR = auto()  # 500
    UNAVAILABLE = auto()  # 503
    DROPPED_BEFORE_CHARGE = auto()  # the connection closes without an answer
    DROPPED_AFTER_CHARGE = auto()
    SLOW_BODY = auto()  # it drips past the deadline
    TRUNCATED = auto()  # the picture's bytes end in the middle, inside an intact answer
    NO_IMAGE = auto()  # 200 without a picture
    WRONG_TYPE = auto()  # called PNG, and is a JPEG: no fault to us
    NOT_JSON = auto()  # 200 with a page of HTML
    REFUSED = auto()  # content policy, in the maker's own form
    BAD_REQUEST = auto()  # 400
    UNKNOWN_MODEL = auto()  # 404
    BAD_KEY = auto()  # 401
    NO_CREDIT = auto()  # quota or payment, in the maker's own form


EXPECTED: dict[MakerFault, type[StepError] | None] = {
    MakerFault.RATE_LIMITED: RateLimited,
    MakerFault.RATE_LIMITED_WITH_RETRY_AFTER: RateLimited,
    MakerFault.SERVER_ERROR: Overloaded,
    MakerFault.UNAVAILABLE: Overloaded,
    MakerFault.DROPPED_BEFORE_CHARGE: Ambiguous,
    MakerFault.DROPPED_AFTER_CHARGE: Ambiguous,
    MakerFault.SLOW_BODY: Ambiguous,
    MakerFault.TRUNCATED: BadBytes,
    MakerFault.NO_IMAGE: NoImage,
    MakerFault.WRONG_TYPE: None,
    MakerFault.NOT_JSON: NoImage,
    MakerFault.REFUSED: Refused,
    MakerFault.BAD_REQUEST: Invalid,
    MakerFault.UNKNOWN_MODEL: Invalid,
    MakerFault.BAD_KEY: Account,
    MakerFault.NO_CREDIT: Account,
}
"""The class of each, whoever the maker is; ``None`` for a success."""


class MakerApi(StandIn):
    """``fault`` is what goes wrong from now on; ``paid`` are the paid requests that have arrived."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: MakerFault | None = None
        self.paid: list[Request] = []
