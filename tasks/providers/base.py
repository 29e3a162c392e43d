"""The one interface that every image provider has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from tasks.core.catalogue import Endpoint, TokenPrices
from tasks.core.health import Health
from tasks.core.pictures import Size


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One paid call.

    ``parameters`` are the provider's own names and values, decided at plan from the catalogue.
    ``references`` are the pictures to start from. ``endpoint`` and ``token_prices`` are the model's, see the catalogue.
    ``scratch`` is an existing folder of this call alone, empty but for ``references``; the caller removes it.
    ``request_id`` is unique for the attempt: an idempotency key where the provider takes one.
    """

    request_id: str
    model: str
    prompt: str
    size: Size
    parameters: Mapping[str, str]
    deadline_seconds: float
    scratch: Path
    references: tuple[Path, ...] = ()
    endpoint: Endpoint | None = None
    token_prices: TokenPrices | None = None


@dataclass(frozen=True, slots=True)
class GeneratedPicture:
    """What came back, not yet checked. ``cost_usd_micros`` is what the provider reported, if it did."""

    data: bytes = field(repr=False)
    cost_usd_micros: int | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do for at least one of its models.

    ``edit``: it takes reference pictures; ``seed``: a parameter of that name makes a picture come again, or nearly;
    ``webhook``: it calls when a job has ended, and may be asked about it before. ``sizes`` are the modes of
    ``sizes`` in the catalogue that fit it, ``formats`` the kinds of picture that it sends.
    """

    edit: bool = False
    seed: bool = False
    webhook: bool = False
    sizes: tuple[str, ...] = ("any",)
    formats: tuple[str, ...] = ("jpeg", "png", "webp")


class AnyProvider(Protocol):
    """What every provider has. One instance per process, used by many threads at once; none is imported unused.

    A call sends at most **one** paid request, ends within ``deadline_seconds`` (plus a second to clean up), and
    raises a :class:`tasks.core.errors.StepError` of the fitting class, chained to its cause, for everything that
    goes wrong.
    """

    name: str
    capabilities: ClassVar[Capabilities]

    def check(self) -> Health:
        """Say whether the provider can be used, without spending money."""
        ...


class Provider(AnyProvider, Protocol):
    """Answers a request with a picture while the caller waits."""

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Make one picture. See the class above for what it raises."""
        ...


@runtime_checkable
class QueueProvider(AnyProvider, Protocol):
    """Takes a job on and answers later: nobody waits at it, and it can be asked what has become of the job."""

    def submit(self, request: GenerationRequest, webhook_url: str | None) -> str:
        """Send the one paid request and return the provider's own name for the job.

        The provider is to call ``webhook_url`` when the job has ended; without one it is asked.
        """
        ...

    def collect(self, request: GenerationRequest, job_id: str, said: bytes | None) -> GeneratedPicture | None:
        """The picture of a job, or ``None`` while it is not ready. Costs nothing and may be repeated.

        ``said`` is the body of the provider's webhook once that has come, already authenticated; it may belong to no
        such job, be cut or lie about where the picture is: whatever does not fit is asked for. Raises as ``submit``:
        Refused, NoImage, Invalid … when the job has ended without a picture; NotSent, RateLimited or Overloaded when
        the provider cannot be asked now, and the job is as it was; BadBytes, Ambiguous, Account or Lost when there is a
        picture that cannot be fetched.
        """
        ...

    def authenticate(self, headers: Mapping[str, str], body: bytes, now: datetime) -> None:
        """See that a webhook comes from the provider, by its own signature where it has one.

        ``headers`` have lower-case names. Raises :class:`tasks.core.errors.Forged`.
        """
        ...

    def job_of(self, body: bytes) -> str | None:
        """Which job a webhook is about, by its body; ``None`` where that does not say."""
        ...
