"""Every error of the project, and the classes that decide what a failure costs and whether it is tried again.

::

    ImagechordError
    ├── InputError             bad rows, files or options: nothing was started (exit code 2)
    ├── ConfigurationError     bad settings or a missing component: nothing was started (exit code 2)
    ├── Superseded             this message is out of date; the ledger has moved on
    ├── ImageEnded             an image has reached its end: never retried
    ├── Forged                 a webhook that does not come from whom it says: answered with 401
    ├── LedgerUnavailable      the ledger is locked, full or away for a moment: do it again
    │   └── LeaseLost          this worker was taken for dead; its next heartbeat renews the lease
    └── StepError              a step could not do its work; ``error_class`` says what follows
        ├── NotSent            the request never left: connection refused, DNS
        │   └── NoRoom         it was not made: the picture could not have been kept
        ├── StagingFailed      bought, and it cannot be kept: has its cause's class
        ├── RateLimited        429: the whole queue of the model pauses
        ├── Overloaded         500, 503, 529: backoff
        ├── Ambiguous          perhaps paid, perhaps not: read timeout, dropped connection
        │   └── WorkerDied     the worker was gone before the call had ended
        ├── NoImage            a success answer without an image
        ├── BadBytes           truncated or undecodable image
        ├── Refused            content policy
        ├── Invalid            400, 404: will never work as asked
        ├── Account            401, 402, 403, quota: nothing of this model will work for now
        ├── Poison             every worker that delivered the picture has died of it
        └── Lost               what was paid for is nowhere to be found
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, NamedTuple

from tasks.core.redaction import redacted


class ErrorClass(StrEnum):
    """How a failed step is treated; stored in the ledger, so the values are stable."""

    NOT_SENT = "not_sent"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    AMBIGUOUS = "ambiguous"
    NO_IMAGE = "no_image"
    BAD_BYTES = "bad_bytes"
    REFUSED = "refused"
    INVALID = "invalid"
    ACCOUNT = "account"
    POISON = "poison"
    LOST = "lost"


class Trouble(NamedTuple):
    """What a person has to know of a class of errors besides its docstring, which says what has happened.

    ``spent`` is what the failed call has cost; ``mend`` what there is to do when it is not tried again by itself.
    ``.github/TROUBLESHOOTING.md`` is made from these words by ``scripts/troubleshooting``.
    """

    spent: str
    mend: str


class ImagechordError(Exception):
    """Base of every error raised on purpose. Its text is meant for people: what, where, and the mend.

    It ends in the ledger, in logs and in Slack, so no secret stays in it.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(redacted(message))


class InputError(ImagechordError):
    """Bad rows, files or options. ``problems`` holds one line for each, already worded for the user."""

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ConfigurationError(ImagechordError):
    """A setting is wrong or a component is missing. The text names the variable or file and the mend."""


class Superseded(ImagechordError):
    """The message belongs to a dispatch that is no longer the current one, or its image has ended."""


class ImageEnded(ImagechordError):
    """The image is in an end state now (failed, refused, cancelled). Red in Flower; never retried."""


class Forged(ImagechordError):
    """A webhook whose signature is missing, wrong, or too old."""


class LedgerUnavailable(ImagechordError):
    """The ledger is locked, deadlocked, full or away for a moment. Every move may be repeated safely."""


class LeaseLost(LedgerUnavailable):
    """This worker missed its heartbeats and was taken for dead: nothing was claimed. The next one renews the lease."""


class StepError(ImagechordError):
    """A step failed against the outside world.

    ``retry_after_seconds`` is what the other side asked for (``Retry-After``), if it did.
    ``cost_usd_micros`` is what the failed call is known to have cost; ``None`` means unknown, which the
    ledger counts as the list price for :class:`Ambiguous` and as nothing for the others.
    ``trace_id`` is the other side's own name for the call.
    """

    error_class: ErrorClass
    trouble: ClassVar[Trouble]

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        cost_usd_micros: int | None = None,
        trace_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.cost_usd_micros = cost_usd_micros
        self.trace_id = trace_id


class NotSent(StepError):
    """The request never reached the other side (connection refused, DNS): retrying is free."""

    error_class = ErrorClass.NOT_SENT
    trouble = Trouble(
        "Nothing.",
        "See that this machine reaches the other side: its name, a proxy, a firewall. `imagechord doctor` asks it.",
    )


class RateLimited(StepError):
    """The other side said 429."""

    error_class = ErrorClass.RATE_LIMITED
    trouble = Trouble(
        "Nothing.",
        (
            "Nothing, as a rule. When it goes on for long, set the model's `limits` in `models.toml` to what your "
            "account allows; `imagechord limits` shows the rate that was found."
        ),
    )


class Overloaded(StepError):
    """The other side is in trouble (500, 503, 529) and did not do the work."""

    error_class = ErrorClass.OVERLOADED
    trouble = Trouble(
        "Nothing.",
        "Wait until the other side has recovered, or give the model a `fallback` in `models.toml`.",
    )


class Ambiguous(StepError):
    """The work may have been done and paid for: read timeout, connection dropped, download failed."""

    error_class = ErrorClass.AMBIGUOUS
    trouble = Trouble(
        "Counted as spent, at the list price: nobody can know.",
        (
            "Look at the provider's own records: what is tried again may be paid a second time. `on_unknown = "
            '"hold"` in `imagechord.toml` leaves each of these to you.'
        ),
    )


class WorkerDied(Ambiguous):
    """The worker died during the call, perhaps of it."""


class NoImage(StepError):
    """The other side reported success and sent no image."""

    error_class = ErrorClass.NO_IMAGE
    trouble = Trouble(
        "What the provider reports, usually nothing.",
        (
            "Read the message. If it comes back, ask for it in other words or of another model: `--edit "
            "template=NAME`, `--edit model=ALIAS`."
        ),
    )


class BadBytes(StepError):
    """What came is not a whole image."""

    error_class = ErrorClass.BAD_BYTES
    trouble = Trouble("What the provider reports.", "If it comes back, ask another model: `--edit model=ALIAS`.")


class Refused(StepError):
    """Content policy: the same prompt will be refused again."""

    error_class = ErrorClass.REFUSED
    trouble = Trouble(
        "What the provider reports, usually nothing.",
        (
            "Ask in other words: another template, or mend the row (`imagechord export --failed` writes it) and "
            "run it again."
        ),
    )


class Invalid(StepError):
    """The request is wrong (400, 404, 413, 422): sending it again cannot help."""

    error_class = ErrorClass.INVALID
    trouble = Trouble(
        "Nothing.",
        (
            "Read the message, which is the other side's own. Mend what it names: the row, the template, the "
            "model in `models.toml`; in the CMS, the record that is missing."
        ),
    )


class NoRoom(NotSent):
    """There is no place to keep what the call would bring: it was not made."""

    def __init__(self, cause: StepError) -> None:
        super().__init__(f"nothing was bought: {cause}")


class StagingFailed(StepError):
    """The picture was bought and could not be put into staging (a full disk): ``cost_usd_micros`` is spent."""

    def __init__(self, cause: StepError, cost_usd_micros: int) -> None:
        super().__init__(f"bought, but staging failed: {cause}", cost_usd_micros=cost_usd_micros)
        self.error_class = cause.error_class


class Account(StepError):
    """Key, credit or quota (401, 402, 403): every request to this service fails until a person acts."""

    error_class = ErrorClass.ACCOUNT
    trouble = Trouble(
        "Nothing.",
        "Mend the key, the credit or the quota; `imagechord doctor` says whether it is accepted.",
    )


class Poison(StepError):
    """Workers died while they delivered the picture; the next one would too."""

    error_class = ErrorClass.POISON
    trouble = Trouble(
        "What the picture has cost; it is kept.",
        "Look into the workers' log and the system's: usually memory ran out. Then give the workers more of it.",
    )


class Lost(StepError):
    """What was paid for is nowhere to be found: buying it again is for a person to say."""

    error_class = ErrorClass.LOST
    trouble = Trouble(
        "What the picture has cost; going on buys it again.",
        "Find out who has emptied the staging or the bucket, or why the provider has forgotten the job.",
    )
