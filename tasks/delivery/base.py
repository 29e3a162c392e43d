"""What the integration layer promises to the steps."""

from __future__ import annotations

from typing import Any, Protocol

from tasks.core.health import Health


class Cms(Protocol):
    """Where ``patch_cms`` writes the picture's URL."""

    def write(self, key: str, image_url: str) -> str:
        """Write the URL into the record of ``key``; return a short receipt for the ledger.

        A write counts only when it is verified. Raises StepError of the fitting class.
        """
        ...

    def check(self) -> Health:
        """Say whether the CMS answers, without changing anything."""
        ...


class Notifier(Protocol):
    """Where the start message and the summary go."""

    def send(self, message: dict[str, Any]) -> None:
        """Deliver one message (``text`` and ``blocks``). Raises StepError; the caller decides to go on."""
        ...

    def check(self) -> Health:
        """Say whether a message could be sent, without sending one."""
        ...
