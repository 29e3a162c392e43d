"""What becomes of a record of the CMS when its batch is rolled back. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Shown = Mapping[str, Any]
"""What a record shows, by placeholder of the preset's body: ``{"image_url": "https://…"}``."""


class Outcome(StrEnum):
    """What a rollback has come to for one record; the values are in ``--json``, so they are stable."""

    PUT_BACK = "put_back"
    AS_BEFORE = "as_before"
    CHANGED = "changed"
    LATER = "later"
    FAILED = "failed"


DONE = frozenset({Outcome.PUT_BACK, Outcome.AS_BEFORE})
"""The record shows what it did before the batch: nobody need look at it again."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """One record. ``told`` says why it was left alone; empty when it was not."""

    key: str
    outcome: Outcome
    told: str = ""


def judge(shown: Shown, was: Shown, ours: Collection[str]) -> Outcome:
    """What to do with a record that shows this, where ``was`` stood before the batch wrote its URLs, ``ours``.

    Only what is still ours may be overwritten. PUT_BACK means that it is to be done.
    """
    if same(shown, was):
        return Outcome.AS_BEFORE
    return Outcome.PUT_BACK if is_ours(shown, ours) else Outcome.CHANGED


def is_ours(shown: Shown, ours: Collection[str]) -> bool:
    """Whether everything that the record shows is a URL of ours; no picture is nobody's."""
    return all(_all_ours(value, ours) for value in shown.values())


def same(shown: Shown, was: Shown) -> bool:
    """Whether a record shows what it was. No picture is written as null, an empty text or an empty list."""
    return all((shown.get(name) or None) == (value or None) for name, value in was.items())


def as_text(shown: Shown) -> str:
    """What a record shows, for a message: ``image_url=https://…``, at most 200 characters."""
    return ", ".join(f"{name}={value or 'nothing'}" for name, value in shown.items())[:200]


def _all_ours(value: Any, ours: Collection[str]) -> bool:
    urls = value if isinstance(value, list) else [value]
    return bool(urls) and all(isinstance(url, str) and url in ours for url in urls)
