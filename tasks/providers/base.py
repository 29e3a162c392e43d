"""The one interface that every image provider has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tasks.core.health import Health
from tasks.core.pictures import Size


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """One paid call.

    ``parameters`` are the provider's own names and values, decided at plan from the catalogue.
    ``scratch`` is an existing empty folder of this call alone; the caller removes it.
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


@dataclass(frozen=True, slots=True)
class GeneratedPicture:
    """What came back, not yet checked. ``cost_usd_micros`` is what the provider reported, if it did."""

    data: bytes = field(repr=False)
    cost_usd_micros: int | None = None
    trace_id: str | None = None


class Provider(Protocol):
    """Turns a request into bytes. One instance per process, used by many threads at once.

    ``generate`` sends at most **one** paid request, ends within ``deadline_seconds`` (plus a second to clean
    up), and raises a :class:`tasks.core.errors.StepError` of the fitting class, chained to its cause, for
    everything that goes wrong.
    """

    name: str

    def generate(self, request: GenerationRequest) -> GeneratedPicture:
        """Make one picture. See the class for what it raises."""
        ...

    def check(self) -> Health:
        """Say whether the provider can be used, without spending money."""
        ...
