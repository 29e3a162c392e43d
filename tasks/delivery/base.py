"""What the integration layer promises to the steps."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from tasks.core.health import Health
from tasks.core.posts import Posted
from tasks.core.rolling_back import Shown


class Cms(Protocol):
    """Where ``patch_cms`` writes the picture's URL.

    ``takes_list``: a record has room for the pictures of all variants, and not for the first alone.
    """

    @property
    def takes_list(self) -> bool:
        """See above."""
        ...

    def write(self, key: str, image_urls: list[str], image_id: int | None = None, /) -> str:
        """Write the URLs into the record of ``key``, at least one; return a short receipt for the ledger.

        ``image_id`` is for those that tell more of the image than its URLs. A write counts only when it is verified.
        Raises StepError of the fitting class.
        """
        ...

    def check(self) -> Health:
        """Say whether the CMS answers, without changing anything."""
        ...


@runtime_checkable
class ReadableCms(Cms, Protocol):
    """A CMS that shows what it has: what a write replaces can be kept, and put back."""

    def read(self, key: str) -> Shown:
        """What the record of ``key`` shows now where pictures are written. Raises StepError of the fitting class."""
        ...

    def restore(self, key: str, was: Shown) -> None:
        """Put back what was read before, and see that it is there. Raises StepError of the fitting class."""
        ...


class Notifier(Protocol):
    """Where the start message, the summary and what is held go."""

    def send(self, message: dict[str, Any], thread: Posted | None = None) -> Posted | None:
        """Deliver one message (``text`` and ``blocks``), in answer to another one where that can be.

        Returns where it can be updated, if it can. Raises StepError; the caller decides to go on.
        """
        ...

    def update(self, posted: Posted, message: dict[str, Any]) -> None:
        """Put another message in the place of one that was sent. Raises StepError; Invalid: that cannot be any more."""
        ...

    def check(self) -> Health:
        """Say whether a message could be sent, without sending one."""
        ...
