"""Two stores: *staging* holds what was paid for until it is published, *public* is what the world sees."""

from __future__ import annotations

from typing import Protocol

from tasks.core.errors import Invalid
from tasks.core.health import Health
from tasks.core.pictures import StagedPicture


class Missing(Invalid):
    """There is no object of that key, in a store that answers."""


class Staging(Protocol):
    """Written by ``generate``, read by ``upload_s3``, perhaps on another machine."""

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store the bytes whole or not at all. Raises StepError (NotSent, Overloaded, Account, Invalid)."""
        ...

    def get(self, key: str) -> bytes:
        """Read them back. Raises Missing when there is no such key, else as ``put``."""
        ...

    def delete(self, key: str) -> None:
        """Remove; a key that is not there is fine."""
        ...

    def require_room(self, free_bytes: int) -> None:
        """Raise StepError when a picture could not be kept now, as far as that costs nothing to know."""
        ...

    def check(self) -> Health:
        """Write, read and remove a probe."""
        ...


class PublicStore(Protocol):
    """Where ``upload_s3`` puts pictures."""

    def publish(self, staged: StagedPicture, staging: Staging, key: str, metadata: dict[str, str]) -> str:
        """Make the staged picture public under ``key`` and return its URL. Idempotent.

        Raises Missing when it is not staged, else StepError of the fitting class.
        """
        ...

    def get(self, key: str) -> bytes:
        """Read a published picture back. Raises Missing when there is no such key, else as ``publish``."""
        ...

    def url(self, key: str) -> str:
        """The public URL of a key, correctly quoted."""
        ...

    def check(self) -> Health:
        """Say whether the store can be written."""
        ...
