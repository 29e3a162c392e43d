"""Completion hooks as shops write them, well and badly."""

from __future__ import annotations

import sqlite3

from tasks.core.errors import RateLimited
from tasks.core.published import PublishedPicture

told: list[PublishedPicture] = []
NO_FUNCTION = "a text"


def published(picture: PublishedPicture) -> None:
    """Take down what was told."""
    told.append(picture)


def with_receipt(picture: PublishedPicture) -> str:
    """Say what was done."""
    return f"product {picture.key} has {len(picture.urls)} pictures"


def unknown(picture: PublishedPicture) -> None:
    """The shop has no such product."""
    raise LookupError(f"there is no product {picture.key}")


def locked(_picture: PublishedPicture) -> None:
    """The shop's database is busy."""
    raise sqlite3.OperationalError("database is locked")


def full(_picture: PublishedPicture) -> None:
    """The shop's disk is full."""
    raise OSError(28, "No space left on device")


def busy(_picture: PublishedPicture) -> None:
    """The shop knows our classes."""
    raise RateLimited("the search index takes no more", retry_after_seconds=30)
