"""What the integration layer promises to the steps."""

from __future__ import annotations

from typing import Any, Protocol

from tasks.core.health import Health
from tasks.core.posts import Posted


class Cms(Protocol):
    """Where ``patch_cms`` writes the picture's URL.

    ``takes_list``: a record has room for the pictures of all variants, and not for the first alone.
    """

    @property
    def takes_list(self) -> bool:
        """See above."""
        ...

    def write(self, key: str, image_urls: list[str]) -> str:
        """Write the URLs into the record of ``key``, at least one; return a short receipt for the ledger.

        A write counts only when it is verified. Raises StepError of the fitting class.
        """
        ...

    def check(self) -> Health:
        """Say whether the CMS answers, without changing anything."""
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
