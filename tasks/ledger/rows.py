"""Typed pieces of the ledger's rows that the moves hand out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.core.pictures import Size
from tasks.core.references import Reference


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make one paid call for an image, and all that the call needs.

    ``fence`` grows with every claim of the image: whoever settles with an old one is too late.
    ``price_usd_micros`` is what is reserved, also in the model's ``budget_day`` where it has such a budget.
    ``spec`` is the model as frozen into the batch, ``references`` are the pictures to start from. ``later``: the
    provider answers later, so the claim has a job.
    """

    image_id: int
    batch_id: str
    dispatch_no: int
    fence: int
    attempt: int
    unknowns: int
    key: str
    prompt: str
    size: Size
    native_size: Size
    parameters: Mapping[str, str]
    fingerprint: str
    price_usd_micros: int
    spec: Mapping[str, Any]
    budget_day: str | None = None
    references: tuple[Reference, ...] = ()
    later: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """What a provider has taken on, or perhaps has: ``job_id`` is ``None`` until it has said so.

    At ``look_at`` it is asked, unless it has ``called`` before and ``said`` something; ``looks`` is how often it was.
    After ``due_at`` nobody waits for it any more.
    """

    provider: str
    submitted_at: datetime
    due_at: datetime
    look_at: datetime
    job_id: str | None = None
    looks: int = 0
    called: bool = False
    said: bytes | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the upload and patch steps need to know of an image. ``staging_key`` and the like are its picture's.

    ``has_variants``: its row has other pictures too. ``hold_publish``: somebody looks at it before the CMS is written.
    ``starts`` counts starts without an end, once a message of the image was lost; ``None`` while nothing was.
    ``stopped_by``: its batch is on hold as a whole (:class:`tasks.core.holds.Reason`), so the step must not go on.
    """

    image_id: int
    batch_id: str
    dispatch_no: int
    attempt: int
    key: str
    variant: int
    template: str
    model: str
    key_pattern: str
    fingerprint: str
    staging_key: str | None
    content_type: str
    extension: str
    size_bytes: int
    sha256: str | None
    public_url: str | None
    has_variants: bool
    hold_publish: bool
    starts: int | None
    stopped_by: str | None = None
