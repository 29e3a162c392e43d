"""What the SDKs that stand on httpx2 are given instead of their own client, and what it means when no answer comes.

By default they keep connections, of which one that the server has just closed would look like a call that perhaps was
paid, and follow redirects with the paid request and the key in it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tasks.core.errors import Account, Ambiguous, NotSent, StepError
from tasks.providers.deadline import Deadline, watch

if TYPE_CHECKING:
    import httpx2

CONNECT_SECONDS = 10.0
"""Who takes longer to accept a connection cannot be reached."""

_PERHAPS_PAID = "the picture may have been paid for"


def new_client() -> httpx2.Client:
    """A client that sends each request once, over a connection of its own, and obeys the thread's Deadline.

    Raises ImportError where httpx2 is missing, which each of the SDKs brings along.
    """
    import httpx2

    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    return httpx2.Client(limits=limits, follow_redirects=False, event_hooks={"request": [watch]})


def no_answer(error: Exception, service: str, deadline: Deadline) -> StepError:
    """The error for a call without an answer: what was never sent is free, all else may have been paid for."""
    import httpx2

    causes = list(causes_of(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Account(f"the certificate of {service} cannot be trusted; set SSL_CERT_FILE")
    if any(isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.ProxyError) for cause in causes):
        return NotSent(f"{service} cannot be reached")
    if not deadline.left_seconds or any(isinstance(cause, httpx2.TimeoutException) for cause in causes):
        return too_late(service, deadline)
    return Ambiguous(f"{service} dropped the connection ({type(causes[-1]).__name__}); {_PERHAPS_PAID}")


def too_late(service: str, deadline: Deadline) -> StepError:
    """The error for an answer that had not come when the time was up."""
    return Ambiguous(f"{service} did not answer within {deadline.seconds:g} s; {_PERHAPS_PAID}")


def causes_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came of, the innermost last."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
