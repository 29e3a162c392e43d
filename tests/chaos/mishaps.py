"""What goes wrong with a call to the far ends, decided by the seed, the picture and the number of the try. Pure."""

from __future__ import annotations

from enum import StrEnum
from random import Random

from tests.stand_ins.cms import CmsFault


class Mishap(StrEnum):
    """What becomes of one call to the image maker. From PAID_AND_DROPPED on it is charged."""

    OVERLOADED = "overloaded"
    RATE_LIMITED = "rate-limited"
    REFUSED = "refused"
    DROPPED = "dropped"
    PAID_AND_DROPPED = "paid-and-dropped"
    PAID_AND_SILENT = "paid-and-silent"
    TRUNCATED = "truncated"
    NO_IMAGE = "no-image"


UNCLEAR = frozenset({Mishap.DROPPED, Mishap.PAID_AND_DROPPED, Mishap.PAID_AND_SILENT})
"""The caller cannot know whether it has paid."""

_PER_MILLE = {
    Mishap.OVERLOADED: 10,
    Mishap.RATE_LIMITED: 1,
    Mishap.DROPPED: 5,
    Mishap.PAID_AND_DROPPED: 10,
    Mishap.PAID_AND_SILENT: 2,
    Mishap.TRUNCATED: 5,
    Mishap.NO_IMAGE: 5,
}
_REFUSED_PER_MILLE = 5
_SLOWEST_SECONDS = 0.25


def is_refused(seed: int, prompt: str) -> bool:
    """Whether the maker's content policy is against this prompt, each time it is asked."""
    return Random(f"{seed} policy {prompt}").random() * 1000 < _REFUSED_PER_MILLE


def mishap(seed: int, prompt: str, number: int) -> Mishap | None:
    """What goes wrong with the ``number``-th call for this prompt."""
    if is_refused(seed, prompt):
        return Mishap.REFUSED
    drawn = Random(f"{seed} call {prompt} {number}").random() * 1000
    for kind, per_mille in _PER_MILLE.items():
        if drawn < per_mille:
            return kind
        drawn -= per_mille
    return None


def latency_seconds(seed: int, prompt: str, number: int) -> float:
    """How long the maker takes."""
    return Random(f"{seed} latency {prompt} {number}").uniform(0.02, _SLOWEST_SECONDS)


def cms_faults(seed: int, sku: str) -> list[CmsFault]:
    """What the CMS answers to the first writes of this product."""
    drawn = Random(f"{seed} cms {sku}").random() * 1000
    if drawn < 10:
        return [CmsFault(503)]
    if drawn < 12:
        return [CmsFault(429, {"Retry-After": "1"})]
    if drawn < 20:
        return [CmsFault(lost_answer=True)]
    return [CmsFault(200, delay_seconds=0.5)] if drawn < 40 else []


def s3_fault(seed: int, key: str, number: int) -> str | None:
    """What becomes of the ``number``-th upload of this key: ``refused``, ``kept-and-dropped``, or nothing."""
    drawn = Random(f"{seed} s3 {key} {number}").random() * 1000
    if drawn < 10:
        return "refused"
    return "kept-and-dropped" if drawn < 20 else None
